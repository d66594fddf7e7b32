//! Running a model: whole, or with a stated bound, and with a count that is true.

use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the twin that a process was started for.
const TWIN: &str = "PROACTOR_LOOM_TWIN";

/// The exit code of a process whose twin was convicted.
const CONVICTED: i32 = 42;

/// How much of a model is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// Every execution that loom distinguishes.
    None,
    /// Those in which a thread is interrupted, where it could have gone on, at most so often.
    Preemptions(usize),
}

fn run(bound: Bound, executions: &Arc<AtomicU64>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // No limit of time or of executions: loom would end there without a word.
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.preemption_bound = match bound {
        Bound::None => None,
        Bound::Preemptions(most) => Some(most),
    };
    let executions = executions.clone();
    builder.check(move || {
        executions.fetch_add(1, Ordering::Relaxed);
        model();
    });
}

/// Explores the model to its bound; it has to hold in every execution. Prints their number.
pub(crate) fn holds(name: &str, bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    if std::env::var_os(TWIN).is_some() {
        return;
    }
    let executions = Arc::default();
    run(bound, &executions, model);
    let count = executions.load(Ordering::Relaxed);
    println!("{name}: {count} executions, bound: {bound:?}");
    assert!(
        count > 1,
        "a model with a single execution explores nothing"
    );
}

/// Explores the model to its bound; it has to fail in some execution. Prints which one.
///
/// In a process of its own: what fails in the middle of an execution need not survive it.
pub(crate) fn convicts(name: &str, bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    match std::env::var(TWIN) {
        Ok(twin) if twin == name => judge(bound, model),
        Ok(_) => {}
        Err(_) => {
            let test = std::thread::current();
            let child = Command::new(std::env::current_exe().expect("the test's own file"))
                .args([test.name().expect("a test"), "--exact", "--nocapture"])
                .args(["--test-threads", "1"])
                .env(TWIN, name)
                .output()
                .expect("the test runs itself");
            let said = String::from_utf8_lossy(&child.stdout);
            assert_eq!(
                child.status.code(),
                Some(CONVICTED),
                "the evil twin `{name}` passed, bound: {bound:?}\n{said}"
            );
            let verdict = said.lines().find(|line| line.starts_with("convicted"));
            println!("{name}: {}", verdict.unwrap_or_default());
        }
    }
}

fn judge(bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    let executions: Arc<AtomicU64> = Arc::default();
    let count = executions.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let why = panic.to_string();
        // The first line is the place in the source.
        let why = why.lines().nth(1).unwrap_or_default().to_owned();
        let count = count.load(Ordering::Relaxed);
        println!("\nconvicted in execution {count}: {why}");
        exit(CONVICTED);
    }));
    run(bound, &executions, model);
}
