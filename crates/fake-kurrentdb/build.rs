//! Makes the wire types and the services' traits from the `.proto` files of the client crate, without `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let protos = protos_of_the_client()?;
    println!("cargo::rerun-if-changed={}", protos.display());
    let files = ["streams.proto", "gossip.proto", "serverfeatures.proto"];
    let descriptors = protox::compile(files, [protos])?;
    tonic_build::configure()
        .build_client(false)
        .bytes(["."])
        .include_file("wire.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts this way")]
fn told_by_cargo(name: &str) -> Result<String, Box<dyn Error>> {
    Ok(std::env::var(name)?)
}

/// Where the source of the crate `kurrentdb` lies that this workspace is built with.
fn protos_of_the_client() -> Result<PathBuf, Box<dyn Error>> {
    let told = Command::new(told_by_cargo("CARGO")?)
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform"])
        .arg(told_by_cargo("TARGET")?)
        .output()?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    let told: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let packages = told.get("packages").and_then(serde_json::Value::as_array);
    let client = packages
        .into_iter()
        .flatten()
        .find(|package| package.get("name").is_some_and(|name| name == "kurrentdb"));
    let manifest = client.and_then(|client| client.get("manifest_path")?.as_str());
    let manifest = PathBuf::from(manifest.ok_or("the crate kurrentdb is not part of the workspace")?);
    Ok(manifest.with_file_name("protos"))
}
