//! Broken packages, one for each thing that can be wrong: each must be found by the rule that is there for it, and by
//! no other.

use super::contents::{Contents, File};
use super::example::{aar, apk, broken, broken_with, library, notices, xcframework};
use super::*;
use crate::android::Abi;
use crate::library::example::{Dylib, SharedObject};
use crate::library::{Machine, NOT_RUNNABLE, Platform};
use crate::zip::{Member, write};

fn put(contents: &mut Contents, name: &str, data: impl Into<Vec<u8>>) {
    contents.files.insert(name.to_owned(), File { data: data.into(), stored_at: None });
}

fn edit(contents: &mut Contents, name: &str, change: impl Fn(String) -> String) {
    let text = contents.text(name).unwrap_or_else(|| panic!("there is no {name}"));
    put(contents, name, change(text.clone()).into_bytes());
    assert_ne!(contents.text(name).unwrap(), text, "the test changes nothing");
}

const ARM64: &str = "jni/arm64-v8a/libsotto_ffi.so";

/// Rules broken by an AAR with another library for 64-bit ARM.
fn with_library(change: impl Fn(&mut SharedObject)) -> Vec<&'static str> {
    let mut contents = aar();
    let mut object = library(Abi::Arm64V8a);
    change(&mut object);
    put(&mut contents, ARM64, object.write());
    broken(Kind::Aar, &contents)
}

#[test]
fn sound_packages_pass() {
    assert_eq!(broken(Kind::Aar, &aar()), [""; 0]);
    assert_eq!(broken(Kind::Apk, &apk()), [""; 0]);
    assert_eq!(broken(Kind::XcFramework, &xcframework()), [""; 0]);
}

#[test]
fn a_package_of_the_model_is_a_model_that_can_be_mapped_and_its_card() {
    let workspace = crate::workspace::Workspace::here();
    let read = |bytes| Contents::of_archive(Path::new("a"), bytes).unwrap();
    let asset = || read(crate::android::starter(&workspace).unwrap());
    let resource = || read(crate::android::starter_resources(&workspace).unwrap());
    assert_eq!(broken(Kind::Starter, &asset()), [""; 0]);
    assert_eq!(broken(Kind::Starter, &resource()), [""; 0]);

    let mut compressed = asset();
    compressed.files.get_mut("assets/sotto/starter.en.sotto").unwrap().stored_at = None;
    let mut pointer = asset();
    put(&mut pointer, "sotto/starter.en.sotto", "version https://git-lfs");
    pointer.files.remove("assets/sotto/starter.en.sotto");
    let mut without_card = resource();
    without_card.files.remove("sotto/README.md");
    let mut with_library = asset();
    put(&mut with_library, "jni/arm64-v8a/libsotto_ffi.so", "");
    for contents in [compressed, pointer, without_card, with_library, Contents::default()] {
        assert_eq!(broken(Kind::Starter, &contents), ["model"]);
    }
}

#[test]
fn a_jar_has_classes_of_ours_and_no_others() {
    let mut contents = Contents::default();
    assert_eq!(broken(Kind::Jar, &contents), ["classes"]);
    put(&mut contents, "dev/sotto/Sotto.class", "class");
    assert_eq!(broken(Kind::Jar, &contents), [""; 0]);
    put(&mut contents, "dev/sotto/Other.class", "/home/me/sotto");
    assert_eq!(broken(Kind::Jar, &contents), ["no folder of the build machine"]);
    put(&mut contents, "dev/sotto/Other.class", "class");
    put(&mut contents, "kotlin/Unit.class", "class");
    assert_eq!(broken(Kind::Jar, &contents), ["classes"]);
}

#[test]
fn an_abi_without_its_library_is_found() {
    for abi in Abi::ALL {
        let mut contents = aar();
        contents.files.remove(&format!("jni/{abi}/libsotto_ffi.so"));
        assert_eq!(broken(Kind::Aar, &contents), ["a library for every ABI"], "{abi}");
    }
}

#[test]
fn a_library_in_the_wrong_folder_is_found() {
    assert_eq!(with_library(|object| object.machine = Machine::X86_64), ["a library for every ABI"]);
}

#[test]
fn an_empty_file_is_no_library() {
    let mut contents = aar();
    put(&mut contents, ARM64, "");
    assert_eq!(broken(Kind::Aar, &contents), ["a library for every ABI"]);
}

#[test]
fn a_library_over_the_ceiling_is_found() {
    assert_eq!(with_library(|object| object.data = vec![1; 6_000_001]), ["size"]);
}

#[test]
fn a_library_with_names_for_debuggers_is_found() {
    assert_eq!(with_library(|object| object.sections = vec![".debug_line"]), ["size"]);
    assert_eq!(with_library(|object| object.sections = vec![".symtab"]), ["size"]);
}

#[test]
fn pages_of_4_kb_are_found() {
    assert_eq!(with_library(|object| object.align = 4096), ["page alignment"]);
}

#[test]
fn pages_of_4_kb_in_somebody_elses_library_are_found() {
    let mut contents = apk();
    let old = SharedObject { align: 4096, machine: Machine::X86_64, ..SharedObject::sound() };
    put(&mut contents, "lib/x86_64/libjnidispatch.so", old.write());
    assert_eq!(broken(Kind::Apk, &contents), ["page alignment"]);
}

#[test]
fn a_library_at_an_odd_place_of_the_app_is_found() {
    let mut contents = apk();
    contents.files.get_mut("lib/arm64-v8a/libsotto_ffi.so").unwrap().stored_at = Some(4096);
    assert_eq!(broken(Kind::Apk, &contents), ["page alignment"]);
}

#[test]
fn a_name_that_is_not_on_the_list_is_found() {
    for name in ["rust_eh_personality", "sqlite3_open", "uniffi_other_fn"] {
        assert_eq!(with_library(|object| object.exports.push(name.into())), ["exported names"], "{name}");
    }
}

#[test]
fn a_library_without_the_names_that_are_called_is_found() {
    for name in ["JNI_OnLoad", "ffi_sotto_ffi_uniffi_contract_version"] {
        assert_eq!(with_library(|object| object.exports.retain(|export| export != name)), ["exported names"], "{name}");
    }
}

#[test]
fn every_call_of_the_network_is_found() {
    for name in ["socket", "connect", "getaddrinfo", "sendto", "recvmsg", "android_res_nsend"] {
        assert_eq!(with_library(|object| object.imports.push(name)), ["no network"], "{name}");
    }
}

#[test]
fn a_library_that_the_system_lacks_is_found() {
    assert_eq!(with_library(|object| object.needed.push("libc++_shared.so")), ["what the libraries need"]);
}

#[test]
fn a_library_that_was_linked_against_nothing_is_found() {
    assert_eq!(with_library(|object| object.sections = vec![NOT_RUNNABLE]), ["can run"]);
    let mut contents = aar();
    put(&mut contents, ARM64, SharedObject { sections: vec![NOT_RUNNABLE], ..SharedObject::sound() }.write());
    let options = Options { allow_stub: true, ..Options::default() };
    assert_eq!(broken_with(Kind::Aar, &contents, &options), [""; 0], "where that is asked for, it passes");
    assert!(check("a", Kind::Aar, &contents, &options).to_string().contains("not checked: whether the library runs"));
}

#[test]
fn folders_of_the_build_machine_are_found_wherever_they_stand() {
    let rule = ["no folder of the build machine"];
    for text in ["/root/.cargo/registry/src/x.rs", "/home/me/sotto/lib.rs", "/Users/me/x", "C:\\Users\\me"] {
        assert_eq!(with_library(|object| object.data = format!("\0at {text}:7\0").into_bytes()), rule, "{text}");
    }
    let named = Options { folders: vec!["/builds/sotto/".into()], ..Options::default() };
    let mut contents = aar();
    edit(&mut contents, "AndroidManifest.xml", |text| text + "<!-- /builds/sotto/android -->");
    assert_eq!(broken_with(Kind::Aar, &contents, &named), rule);
    assert_eq!(broken(Kind::Aar, &contents), [""; 0], "the folder is another machine's");
}

#[test]
fn folders_of_the_build_machine_are_found_in_classes() {
    let mut contents = aar();
    let members = ["dev/sotto/A.class", "dev/sotto/ffi/B.class"]
        .map(|name| Member::file(name, b"SourceDebug /home/me/sotto/A.kt".to_vec()));
    put(&mut contents, "classes.jar", write(members.to_vec()));
    assert_eq!(broken(Kind::Aar, &contents), ["no folder of the build machine"]);
}

#[test]
fn rules_for_r8_that_are_missing_empty_or_keep_too_little_are_found() {
    for text in [
        "",
        "# -keep class dev.sotto.ffi.** { *; } -keep class com.sun.jna.** { *; }\n",
        "-keep class dev.sotto.ffi.** { *; }",
    ] {
        let mut contents = aar();
        put(&mut contents, "proguard.txt", text);
        assert_eq!(broken(Kind::Aar, &contents), ["rules for R8"], "{text:?}");
    }
    let mut contents = aar();
    contents.files.remove("proguard.txt");
    assert_eq!(broken(Kind::Aar, &contents), ["rules for R8"]);
    edit(&mut contents, "AndroidManifest.xml", |text| text + " ");
    put(&mut contents, "proguard.txt", "-keep class dev.sotto.ffi.** { *; }\n-keep class com.sun.jna.** { *;\n");
    assert_eq!(broken(Kind::Aar, &contents), ["rules for R8"], "a brace is missing");
}

#[test]
fn a_package_without_classes_is_found() {
    let mut contents = aar();
    contents.files.remove("classes.jar");
    assert_eq!(broken(Kind::Aar, &contents), ["classes"]);
    for members in [vec![], vec![Member::file("org/other/A.class", vec![1])]] {
        put(&mut contents, "classes.jar", write(members));
        assert_eq!(broken(Kind::Aar, &contents), ["classes"]);
    }
    put(&mut contents, "classes.jar", "");
    assert!(broken(Kind::Aar, &contents).contains(&"classes"));
}

#[test]
fn a_manifest_that_is_missing_or_asks_for_the_network_is_found() {
    let mut contents = aar();
    edit(&mut contents, "AndroidManifest.xml", |text| {
        text.replace("</m", "<uses-permission android:name=\"android.permission.INTERNET\"/></m")
    });
    assert_eq!(broken(Kind::Aar, &contents), ["manifest"]);
    for name in ["AndroidManifest.xml", "R.txt"] {
        let mut contents = aar();
        contents.files.remove(name);
        assert_eq!(broken(Kind::Aar, &contents), ["manifest"], "{name}");
    }
}

#[test]
fn an_app_without_code_or_jna_is_found() {
    for name in ["classes.dex", "lib/arm64-v8a/libjnidispatch.so"] {
        let mut contents = apk();
        contents.files.remove(name);
        assert_eq!(broken(Kind::Apk, &contents), ["contents of the app"], "{name}");
    }
}

#[test]
fn an_app_without_libraries_passes_only_where_that_is_asked_for() {
    let mut contents = apk();
    contents.files.retain(|name, _| !name.starts_with("lib/"));
    assert!(broken(Kind::Apk, &contents).contains(&"a library for every ABI"));
    let options = Options { without_native: true, ..Options::default() };
    assert_eq!(broken_with(Kind::Apk, &contents, &options), [""; 0]);
}

#[test]
fn licences_that_are_missing_or_leave_something_out_are_found() {
    for (name, kind, package) in
        [("assets/sotto/licences.txt", Kind::Aar, aar()), ("assets/sotto/licences.txt", Kind::Apk, apk())]
    {
        let mut contents = package;
        put(&mut contents, name, "");
        assert_eq!(broken(kind, &contents), ["licences"]);
        put(&mut contents, name, "some_crate 1.0.0: MIT");
        assert_eq!(broken(kind, &contents), ["licences"], "once_cell is not in it");
        contents.files.remove(name);
        assert_eq!(broken(kind, &contents), ["licences"]);
    }
}

#[test]
fn an_sbom_that_is_missing_or_says_too_little_is_found() {
    let sound = notices().sbom;
    let spoiled = [
        "{".to_owned(),
        sound.replace("CycloneDX", "SPDX"),
        sound.replace("\"1.5\"", "\"1.3\""),
        sound.replace("pkg:cargo/once_cell", "once_cell"),
        sound.replace("{\"expression\":\"MIT\"}", ""),
    ];
    for text in spoiled {
        assert_ne!(text, sound);
        let mut contents = aar();
        put(&mut contents, "assets/sotto/sbom.cdx.json", text.clone());
        assert_eq!(broken(Kind::Aar, &contents), ["SBOM"], "{text}");
    }
    let mut contents = aar();
    contents.files.remove("assets/sotto/sbom.cdx.json");
    assert_eq!(broken(Kind::Aar, &contents), ["SBOM"]);
}

const PHONE: &str = "SottoFFI.xcframework/ios-arm64/sottoFFI.framework";

/// Rules broken by an XCFramework with another library for phones.
fn with_dylib(change: impl Fn(&mut Dylib)) -> Vec<&'static str> {
    let mut contents = xcframework();
    let mut dylib = Dylib::sound();
    change(&mut dylib);
    put(&mut contents, &format!("{PHONE}/sottoFFI"), dylib.write());
    broken(Kind::XcFramework, &contents)
}

#[test]
fn a_framework_that_is_missing_or_for_another_system_is_found() {
    let mut contents = xcframework();
    contents.files.remove(&format!("{PHONE}/sottoFFI"));
    let rules = broken(Kind::XcFramework, &contents);
    assert_eq!(rules, ["slices"]);
    assert_eq!(with_dylib(|dylib| dylib.platform = Platform::Simulator), ["slices"]);
    assert_eq!(with_dylib(|dylib| dylib.machine = Machine::X86_64), ["slices"]);
    assert_eq!(with_dylib(|dylib| dylib.name = "/tmp/libsotto_ffi.dylib"), ["slices"]);
    let mut contents = xcframework();
    edit(&mut contents, "SottoFFI.xcframework/Info.plist", |text| text.replace("macos-arm64_x86_64", "macos"));
    assert_eq!(broken(Kind::XcFramework, &contents), ["slices"]);
}

#[test]
fn a_static_library_in_a_framework_is_found() {
    assert_eq!(with_dylib(|dylib| dylib.dynamic = false), ["a library for every ABI"]);
}

#[test]
fn apples_libraries_are_held_to_the_same_rules() {
    assert_eq!(with_dylib(|dylib| dylib.exports.push("_rust_eh_personality")), ["exported names"]);
    assert_eq!(with_dylib(|dylib| dylib.imports.push("_socket")), ["no network"]);
    assert_eq!(with_dylib(|dylib| dylib.imports.push("_nw_connection_create")), ["no network"]);
    let network = "/System/Library/Frameworks/Network.framework/Network";
    assert_eq!(with_dylib(|dylib| dylib.needed.push(network)), ["what the libraries need"]);
    assert_eq!(with_dylib(|dylib| dylib.data = vec![0; 6_000_001]), ["size"]);
    assert_eq!(with_dylib(|dylib| dylib.data = b"/Users/me/sotto/lib.rs".to_vec()), ["no folder of the build machine"]);
}

#[test]
fn a_module_map_that_newer_compilers_refuse_is_found() {
    let name = format!("{PHONE}/Modules/module.modulemap");
    let changes: [fn(String) -> String; 2] = [
        |text| text.replace("framework module", "module"),
        |text| text.replace("export *\n", "use \"_Builtin_stdbool\"\n"),
    ];
    for change in changes {
        let mut contents = xcframework();
        edit(&mut contents, &name, change);
        assert_eq!(broken(Kind::XcFramework, &contents), ["module maps"]);
    }
    let mut contents = xcframework();
    contents.files.remove(&name);
    assert_eq!(broken(Kind::XcFramework, &contents), ["module maps"]);
    let mut contents = xcframework();
    put(&mut contents, "SottoFFI.xcframework/ios-arm64/Headers/module.modulemap", "module sottoFFI {}");
    assert_eq!(broken(Kind::XcFramework, &contents), ["module maps"]);
}

#[test]
fn a_privacy_manifest_that_is_missing_damaged_or_says_too_much_is_found() {
    let name = format!("{PHONE}/PrivacyInfo.xcprivacy");
    let changes: [fn(String) -> String; 4] = [
        |text| text.replace("<false/>", "<true/>"),
        |text| text.replace("</dict>", ""),
        |text| text.replace("<string>C617.1</string>", ""),
        |text| text.replace("NSPrivacyCollectedDataTypes", "NSPrivacyCollected"),
    ];
    for change in changes {
        let mut contents = xcframework();
        edit(&mut contents, &name, change);
        assert_eq!(broken(Kind::XcFramework, &contents), ["privacy manifests"]);
    }
    let mut contents = xcframework();
    contents.files.remove(&name);
    assert_eq!(broken(Kind::XcFramework, &contents), ["privacy manifests"]);
}

#[test]
fn each_framework_has_its_own_licences_and_sbom() {
    let mut contents = xcframework();
    contents.files.remove(&format!("{PHONE}/licences.txt"));
    assert_eq!(broken(Kind::XcFramework, &contents), ["licences"]);
    let mut contents = xcframework();
    let mac = "SottoFFI.xcframework/macos-arm64_x86_64/sottoFFI.framework/Versions/A/Resources/sbom.cdx.json";
    assert!(contents.files.remove(mac).is_some());
    assert_eq!(broken(Kind::XcFramework, &contents), ["SBOM"]);
}

#[test]
fn folders_and_archives_are_read_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("SottoFFI.xcframework");
    for (name, file) in &xcframework().files {
        crate::workspace::write(&folder.path().join(name), &file.data).unwrap();
    }
    let report = verify(&root, &Options::default()).unwrap();
    // The folder above a temporary one may itself be that of a person; the package does not name it.
    assert!(report.passed(), "{report}");
    let archive = folder.path().join("sotto.aar");
    let members = aar().files.into_iter().map(|(name, file)| Member::file(name, file.data)).collect();
    crate::workspace::write(&archive, &write(members)).unwrap();
    assert!(verify(&archive, &Options::default()).unwrap().passed());
}

#[test]
fn a_library_is_held_to_the_rules_of_libraries_before_it_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libsotto_ffi.so");
    let broken = |object: SharedObject| {
        std::fs::write(&path, object.write()).unwrap();
        verify(&path, &Options::default()).unwrap().broken()
    };
    assert_eq!(broken(SharedObject::sound()), [""; 0]);
    assert_eq!(broken(SharedObject { imports: vec!["connect"], ..SharedObject::sound() }), ["no network"]);
    assert_eq!(broken(SharedObject { data: vec![0; 6_000_001], ..SharedObject::sound() }), ["size"]);
    std::fs::write(&path, Dylib::sound().write()).unwrap();
    assert!(verify(&path, &Options::default()).unwrap().broken().contains(&"a library for every ABI"));
}

#[test]
fn what_is_no_package_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aar");
    std::fs::write(&path, b"not an archive").unwrap();
    assert!(verify(&path, &Options::default()).unwrap_err().to_string().contains("no zip archive"));
    assert!(verify(&folder.path().join("a.zip"), &Options::default()).unwrap_err().to_string().contains(".aar"));
    assert!(verify(&folder.path().join("gone.aar"), &Options::default()).is_err());
}
