//! Brings the page into the binary: copies what `web/` has built, or writes a page that says how to build it, so that
//! the crate always compiles.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Ashya</title>
<h1>The page is not built</h1>
<p>This gateway works, but it was compiled without its page. Run <code>npm ci</code> and
<code>npm run build -w web</code> at the top of the repository, then compile the gateway again.</p>
</html>
";

fn main() -> io::Result<()> {
    let built = Path::new("../web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", built.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let page = out.join("page");
    if page.exists() {
        fs::remove_dir_all(&page)?;
    }
    fs::create_dir_all(&page)?;
    if built.join("index.html").is_file() {
        copy(built, &page)?;
    } else {
        fs::write(page.join("index.html"), PLACEHOLDER)?;
    }
    // The derive takes a literal path, and only here is it known.
    let embed = format!(
        "/// The files of the page.\n#[derive(RustEmbed)]\n#[folder = {:?}]\nstruct Page;\n",
        page.display().to_string()
    );
    fs::write(out.join("page.rs"), embed)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
