//! Blocking, WATCH and MULTI.
