//! The checker.
mod bounded;
mod campaign;
mod crew;
mod execution;
mod panics;
mod random;
mod replay;
mod shrink;
#[cfg(test)]
mod toys;
