//! The native libraries of a package.

use super::contents::Contents;
use super::{Kind, apple, finding};
use crate::android::Abi;
use crate::library::{self, Library, Machine};
use crate::report::Finding;

/// What an app pays for the library, on the most common phones; the others are held to the same.
const CEILING: usize = 6_000_000;

/// Newer phones have pages of 16 KB and do not load what is laid out for smaller ones. 32-bit ones never have them.
const PAGE: u64 = 16 * 1024;

/// Names that the library may offer: UniFFI's, which the generated code calls, those that the Java machine calls, and
/// the one that the Kotlin package calls without UniFFI.
const MAY_EXPORT: &[&str] = &["ffi_sotto_ffi_", "uniffi_sotto_ffi_", "UNIFFI_META_"];
const MAY_EXPORT_EXACTLY: &[&str] = &["JNI_OnLoad", "JNI_OnUnload", "sotto_ffi_push_pcm"];
/// Without this one the generated code does not start.
const MUST_EXPORT: &str = "ffi_sotto_ffi_uniffi_contract_version";

/// Libraries of the systems that may be needed, and no others: what is not there at the start kills the app.
const ANDROID_LIBRARIES: &[&str] = &["libandroid.so", "libc.so", "libdl.so", "liblog.so", "libm.so"];
const APPLE_LIBRARIES: &[&str] = &[
    "/System/Library/Frameworks/Accelerate.framework/",
    "/System/Library/Frameworks/CoreFoundation.framework/",
    "/System/Library/Frameworks/Foundation.framework/",
    "/System/Library/Frameworks/Metal.framework/",
    "/System/Library/Frameworks/MetalPerformanceShaders.framework/",
    "/usr/lib/libSystem.B.dylib",
    "/usr/lib/libiconv.2.dylib",
    "/usr/lib/libobjc.A.dylib",
];

/// Functions by which code reaches a network, of C libraries and of Apple's frameworks.
const NETWORK: &[&str] = &[
    "accept",
    "accept4",
    "android_getaddrinfofornet",
    "bind",
    "connect",
    "connectx",
    "freeaddrinfo",
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname2",
    "getnameinfo",
    "getpeername",
    "getsockname",
    "getsockopt",
    "inet_pton",
    "listen",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "res_query",
    "res_send",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socket",
    "socketpair",
];
const NETWORK_PREFIXES: &[&str] =
    &["CFHTTP", "CFHost", "CFNetwork", "CFSocket", "CFStreamCreatePairWithSocket", "DNSService", "android_res_", "nw_"];

/// The libraries of one package that are ours, and those that others made.
pub struct Libraries {
    kind: Kind,
    ours: Vec<Ours>,
    /// Name, bytes and place in the archive of other libraries, JNA's for example.
    others: Vec<(String, Vec<u8>, Option<u64>)>,
}

struct Ours {
    /// Its path in the package.
    path: String,
    /// The ABI that its folder promises.
    abi: Option<Abi>,
    bytes: usize,
    stored_at: Option<u64>,
    slices: Result<Vec<Library>, String>,
}

impl Libraries {
    /// Finds and reads the libraries of a package.
    pub fn of(kind: Kind, contents: &Contents) -> Self {
        let mut libraries = Self { kind, ours: Vec::new(), others: Vec::new() };
        for (path, file) in &contents.files {
            let Some((abi, ours)) = recognize(kind, path) else { continue };
            if ours {
                let slices = library::slices(&file.data);
                let bytes = file.data.len();
                libraries.ours.push(Ours { path: path.clone(), abi, bytes, stored_at: file.stored_at, slices });
            } else {
                libraries.others.push((path.clone(), file.data.clone(), file.stored_at));
            }
        }
        libraries
    }

    fn each(&self) -> impl Iterator<Item = (&str, &Library)> {
        let read = self.ours.iter().filter_map(|ours| Some((ours.path.as_str(), ours.slices.as_ref().ok()?)));
        read.flat_map(|(path, slices)| slices.iter().map(move |library| (path, library)))
    }

    /// Every ABI that Sotto ships for has a library, of the right processor, that can be loaded.
    pub fn every_abi(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if matches!(self.kind, Kind::Aar | Kind::Apk) {
            for abi in Abi::ALL {
                if !self.ours.iter().any(|ours| ours.abi == Some(abi)) {
                    let what = format!("there is no library for {abi}");
                    findings.push(finding(what, "build it with `cargo xtask android` and pack it"));
                }
            }
        }
        if self.ours.is_empty() && self.kind == Kind::XcFramework {
            findings.push(finding("there is no library", "build it with `cargo xtask xcframework`"));
        }
        for ours in &self.ours {
            match &ours.slices {
                Err(error) => findings.push(finding(format!("{}: {error}", ours.path), "build it again")),
                Ok(slices) => findings.extend(slices.iter().filter_map(|library| misfit(self.kind, ours, library))),
            }
        }
        findings
    }

    /// The library is stripped and under the ceiling.
    pub fn size(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ours in &self.ours {
            let slices = ours.slices.as_ref().map_or(1, Vec::len).max(1);
            if ours.bytes > CEILING * slices {
                let (bytes, limit) = (ours.bytes, CEILING * slices);
                findings.push(finding(
                    format!("{} has {bytes} bytes, {limit} are allowed", ours.path),
                    "see what grew (`cargo xtask android` prints the largest parts), or raise the ceiling by an ADR",
                ));
            }
        }
        for (path, library) in self.each().filter(|(_, library)| library.unstripped) {
            let what = format!("{path} still holds names for debuggers");
            findings.push(finding(what, format!("strip it; {} keeps the other copy", kept(library))));
        }
        findings
    }

    /// Libraries for 64-bit processors can be mapped with pages of 16 KB, in the package and in memory.
    pub fn alignment(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, library) in self.each() {
            findings.extend(misaligned(path, library));
        }
        for (path, bytes, _) in &self.others {
            findings.extend(library::slices(bytes).unwrap_or_default().iter().filter_map(|one| misaligned(path, one)));
        }
        // The system maps what is stored in an APK where it lies.
        if self.kind == Kind::Apk {
            let ours = self.ours.iter().map(|ours| (&ours.path, ours.stored_at));
            let stored = ours.chain(self.others.iter().map(|(path, _, at)| (path, *at)));
            for (path, at) in stored.filter_map(|(path, at)| Some((path, at?))) {
                if !at.is_multiple_of(PAGE) {
                    let what = format!("{path} lies at byte {at} of the APK, which is no multiple of {PAGE}");
                    findings.push(finding(what, "run `zipalign -P 16 4`, before the signature"));
                }
            }
        }
        findings
    }

    /// The library offers what the generated code calls and nothing else.
    pub fn exports(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, library) in self.each() {
            let strangers: Vec<&String> = library.exports.iter().filter(|name| !may_export(name)).collect();
            if !strangers.is_empty() {
                findings.push(finding(
                    format!("{path} offers {}", some_of(&strangers)),
                    "two Rust libraries of one app would clash on it: hide it, or add it to the list in native.rs",
                ));
            }
            let mut missing = vec![MUST_EXPORT];
            if library.elf {
                missing.push("JNI_OnLoad");
            }
            missing.retain(|name| !library.exports.iter().any(|export| export == name));
            if !missing.is_empty() {
                let what = format!("{path} does not offer {}", missing.join(", "));
                findings.push(finding(what, "was the library stripped of its dynamic symbols, or is it another one?"));
            }
        }
        findings
    }

    /// The library reaches no network.
    pub fn network(&self) -> Vec<Finding> {
        let reaches = |name: &&String| {
            NETWORK.contains(&name.as_str()) || NETWORK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        self.each()
            .filter_map(|(path, library)| {
                let names: Vec<&String> = library.imports.iter().filter(reaches).collect();
                let remedy = "nothing that ships to phones may reach a network; `cargo xtask deps` names the crate";
                (!names.is_empty()).then(|| finding(format!("{path} calls {}", some_of(&names)), remedy))
            })
            .collect()
    }

    /// The library needs nothing that the system does not have.
    pub fn needed(&self) -> Vec<Finding> {
        self.each()
            .filter_map(|(path, library)| {
                let known = |name: &str| {
                    if library.elf {
                        ANDROID_LIBRARIES.contains(&name)
                    } else {
                        APPLE_LIBRARIES.iter().any(|known| name.starts_with(known))
                    }
                };
                let others: Vec<&String> = library.needed.iter().filter(|name| !known(name)).collect();
                let remedy = "link it in, or pack it; an app dies at its start without it";
                (!others.is_empty()).then(|| finding(format!("{path} needs {}", some_of(&others)), remedy))
            })
            .collect()
    }

    /// The library was linked against what it calls.
    pub fn runnable(&self) -> Vec<Finding> {
        self.each()
            .filter(|(_, library)| library.not_runnable)
            .map(|(path, _)| {
                let what =
                    format!("{path} was linked against nothing: its size and names can be checked, it cannot run");
                finding(what, "build it where an NDK is, with `cargo xtask android`")
            })
            .collect()
    }
}

/// The ABI that a path promises, and whether the library there is ours; nothing for what is no library.
fn recognize(kind: Kind, path: &str) -> Option<(Option<Abi>, bool)> {
    if kind == Kind::XcFramework {
        return apple::is_binary(path).then_some((None, true));
    }
    if kind == Kind::Library {
        return Some((None, true));
    }
    let folder = if kind == Kind::Aar { "jni/" } else { "lib/" };
    let (abi, name) = path.strip_prefix(folder)?.split_once('/')?;
    name.ends_with(".so").then(|| (Abi::named(abi), name == "libsotto_ffi.so"))
}

fn misfit(kind: Kind, ours: &Ours, library: &Library) -> Option<Finding> {
    let Ours { path, abi, .. } = ours;
    let what = if library.elf == (kind == Kind::XcFramework) {
        format!("{path} is for another system")
    } else if abi.is_some_and(|abi| abi.machine() != library.machine) {
        format!("{path} is for {:?}", library.machine)
    } else if !library.dynamic {
        format!("{path} is no dynamic library: two static Rust libraries in one app clash")
    } else if kind != Kind::XcFramework && library.name.as_deref() != Some("libsotto_ffi.so") {
        format!("{path} calls itself {}", library.name.as_deref().unwrap_or("nothing"))
    } else {
        return None;
    };
    Some(finding(what, "build it again; was it put into the wrong folder?"))
}

fn misaligned(path: &str, library: &Library) -> Option<Finding> {
    let wide = matches!(library.machine, Machine::Arm64 | Machine::X86_64);
    if !library.elf || !wide {
        return None;
    }
    if library.loads.is_empty() {
        return Some(finding(format!("{path} has nothing to load"), "build it again"));
    }
    let fits = |load: &&library::Load| load.align >= PAGE && load.address % load.align == load.offset % load.align;
    let load = library.loads.iter().find(|load| !fits(load))?;
    Some(finding(
        format!("{path} is laid out for pages of {} bytes", load.align),
        "link with `-z max-page-size=16384`; for JNA take 5.17 or newer",
    ))
}

fn may_export(name: &str) -> bool {
    MAY_EXPORT_EXACTLY.contains(&name) || MAY_EXPORT.iter().any(|prefix| name.starts_with(prefix))
}

fn kept(library: &Library) -> &'static str {
    if library.elf { "target/xtask/android/symbols" } else { "the .dSYM beside the framework" }
}

/// The first few of many names.
fn some_of(names: &[&String]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<&str> = names.iter().take(SHOWN).map(|name| name.as_str()).collect();
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", first.join(", ")),
        _ => first.join(", "),
    }
}
