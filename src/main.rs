//! The command line of `dsplug`.

fn main() {}
