//! The benchmark: egret beside a bare hyper relay and nginx, in one run.

fn main() {}
