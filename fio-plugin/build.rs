//! Link arguments of the plugin.

fn main() {
    // fio unloads the plugin after each job; threads and thread-locals of the engine must find their code until the end.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
