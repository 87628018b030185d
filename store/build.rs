//! Rebuilds the crate when a migration is added: the migrations are compiled in, and cargo does not watch folders.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
