//! Slots, nights and windows.
