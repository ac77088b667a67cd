//! Prints the contract as it is generated from the code: `cargo run --example openapi > docs/openapi.json`.
#![allow(clippy::print_stdout, reason = "it is what it is for")]

fn main() {
    print!("{}", gitleads::http::openapi_text());
}
