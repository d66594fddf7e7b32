//! The simulated kernel behind the seam.
