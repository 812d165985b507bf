//! bt-core
