mod decoding;
mod fixture;
mod http1;
mod http2;
mod pool;
mod stages;
