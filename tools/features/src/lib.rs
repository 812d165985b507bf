//! No code: `Cargo.toml` tells what this package is for.
