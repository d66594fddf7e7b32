//! Addresses as people write them. Names are not looked up: that would block a handler.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address and port, given as a [`SocketAddr`], `"127.0.0.1:80"`, or a pair of address and port.
/// Port 0 asks for any free one.
///
/// ```
/// use proactor::net::ToAddr;
/// assert_eq!("127.0.0.1:80".to_addr().unwrap(), ([127, 0, 0, 1], 80).to_addr().unwrap());
/// assert!("localhost:80".to_addr().is_err(), "names are not looked up");
/// ```
pub trait ToAddr {
    /// The address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is not an IP address and port.
    fn to_addr(&self) -> io::Result<SocketAddr>;
}

impl ToAddr for str {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        self.parse().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{self}` is not an IP address and port such as 127.0.0.1:80 or [::1]:80 (names are not looked up)"),
            )
        })
    }
}

impl ToAddr for String {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        self.as_str().to_addr()
    }
}

impl<T: ToAddr + ?Sized> ToAddr for &T {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        (**self).to_addr()
    }
}

impl ToAddr for SocketAddr {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok(*self)
    }
}

impl ToAddr for SocketAddrV4 {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}

impl ToAddr for SocketAddrV6 {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}

impl ToAddr for (IpAddr, u16) {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}

impl ToAddr for (Ipv4Addr, u16) {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}

impl ToAddr for (Ipv6Addr, u16) {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}

impl ToAddr for ([u8; 4], u16) {
    fn to_addr(&self) -> io::Result<SocketAddr> {
        Ok((*self).into())
    }
}
