//! The Update Framework.
#![no_std]
extern crate alloc;
