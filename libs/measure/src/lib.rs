//! What the tools share that measure the engine (`tools/bench`, `tools/prove`).
//!
//! - [`Program`]: a service or this program again as a process of its own, its log, its memory and processor time,
//!   and the ways in which it can end.
//! - [`figures`]: numbers as people read them, medians, quantiles and straight lines through measurements.
//! - [`page`]: a table between the markers of a page, and the machine it is from.
//! - [`standstill`]: when a shared machine let nobody on.

pub mod figures;
pub mod page;
mod process;
pub mod standstill;

pub use process::{Memory, Program, Service, cpu, helping, memory, own_folder, say};
