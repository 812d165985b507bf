//! Where parallel loops begin.

/// Runs `f` on one of rayon's threads. A parallel loop that begins there starts at once; each that begins on another
/// thread wakes one and waits for it, which is a fifth of a small layer's time.
pub(super) fn on_workers<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}
