//! bt-embed
