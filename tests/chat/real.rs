//! On this machine's own kernel.
