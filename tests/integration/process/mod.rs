//! The `egret` binary as a process: its signals, sockets, files, standard streams and exit codes.

mod billing;
mod client;
mod drain;
mod exact;
mod http;
mod ledger;
mod overlays;
mod policy;
mod provider;
mod push;
mod reload;
mod start;
mod support;
mod tls;
