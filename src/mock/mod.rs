//! A scripted provider as a hyper service: what tests, the quickstart and `egret mock` talk to.

pub mod script;

pub use script::Script;
