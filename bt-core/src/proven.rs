//! What `Model::parse` has proven, asserted where it is relied on.
//!
//! Device code has no panicking path, so a lookup that cannot fail still needs a way on. Without a word it
//! would hide a mistake of ours as a wrong result: every such place says [`Proven::proven`].

/// A lookup that cannot fail in a model that was parsed and an arena that is large enough for it.
pub(crate) trait Proven {
    /// Itself. A debug build panics where the proof does not hold.
    #[must_use]
    #[track_caller]
    fn proven(self) -> Self;
}

impl<T> Proven for Option<T> {
    #[inline(always)]
    fn proven(self) -> Self {
        debug_assert!(self.is_some(), "what parse has proven does not hold");
        self
    }
}
