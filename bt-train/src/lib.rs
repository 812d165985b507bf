//! bt-train
