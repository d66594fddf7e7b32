//! Work that waits for a worker to take its turn: how the worker's loop knows of what stands beside it.

use std::sync::Arc;

use super::home::Local;

/// Something that holds handlers of its own, in their order, and is run by one worker at a time.
pub(crate) trait Turn: Send + Sync {
    /// Runs some of the handlers on this worker, at least one, and sees to it that there is another
    /// turn if that leaves any. Between two handlers the worker is asked whether it
    /// [may go on](Local::may_go_on).
    fn run(self: Arc<Self>, local: &Local);

    /// Nobody will take its turn any more: what waits is dropped uninvoked.
    fn drop_handlers(self: Arc<Self>);
}

/// The right to take the one turn that is due. Dropped without, as in a teardown or when the proactor is
/// gone, the handlers are dropped uninvoked.
pub(crate) struct Due(Option<Arc<dyn Turn>>);

impl Due {
    pub(crate) fn new(turn: Arc<dyn Turn>) -> Due {
        Due(Some(turn))
    }

    pub(crate) fn run(mut self, local: &Local) {
        if let Some(turn) = self.0.take() {
            turn.run(local);
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(turn) = self.0.take() {
            turn.drop_handlers();
        }
    }
}
