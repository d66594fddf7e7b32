//! Which Windows this is, or what plays it.

use std::ffi::{CStr, c_char};

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;
use windows_sys::s;

/// A line for people.
pub(super) fn describe() -> String {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: its size says how far it may be written to. (It never fails: page *RtlGetVersion*.)
    unsafe { RtlGetVersion(&mut version) };
    let windows = format!(
        "I/O completion port (Windows {}.{}.{}",
        version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber
    );
    match wine() {
        Some(wine) => format!("{windows}, played by Wine {wine})"),
        None => format!("{windows})"),
    }
}

/// The version of Wine, if this is Wine: its ntdll has a function that tells.
fn wine() -> Option<String> {
    // SAFETY: ntdll is in every process, and its functions stay there. This one takes nothing, and returns a text that
    // stays too (Wine's `dlls/ntdll/version.c`).
    unsafe {
        let tell = GetProcAddress(GetModuleHandleA(s!("ntdll.dll")), s!("wine_get_version"))?;
        let tell: extern "C" fn() -> *const c_char = std::mem::transmute(tell);
        Some(CStr::from_ptr(tell()).to_string_lossy().into_owned())
    }
}
