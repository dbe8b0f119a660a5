//! Reading, by the crate `object`.

use object::read::elf::{ElfFile, FileHeader};
use object::read::macho::{FatArch, LoadCommandVariant, MachHeader, MachOFatFile32, MachOFile};
use object::{
    Architecture, File, FileKind, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, SymbolScope, elf,
    macho,
};

use super::{Library, Load, Machine, NOT_RUNNABLE, Platform};

/// Reads all libraries of a file: one, or one per processor in a universal Mach-O file.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn slices(bytes: &[u8]) -> Result<Vec<Library>, String> {
    let kind = FileKind::parse(bytes).map_err(|error| format!("no library: {error}"))?;
    if kind != FileKind::MachOFat32 {
        return Ok(vec![read(bytes)?]);
    }
    let fat = MachOFatFile32::parse(bytes).map_err(|error| error.to_string())?;
    fat.arches().iter().map(|arch| read(arch.data(bytes).map_err(|error| error.to_string())?)).collect()
}

fn read(bytes: &[u8]) -> Result<Library, String> {
    let file = File::parse(bytes).map_err(|error| format!("no library: {error}"))?;
    let mut library = shared(&file);
    match &file {
        File::Elf32(file) => of_elf(file, &mut library),
        File::Elf64(file) => of_elf(file, &mut library),
        File::MachO64(file) => of_macho(file, &mut library),
        _ => Ok(()),
    }
    .map_err(|error| error.to_string())?;
    for names in [&mut library.exports, &mut library.imports, &mut library.needed] {
        names.sort();
        names.dedup();
    }
    Ok(library)
}

/// What all formats have in common.
fn shared(file: &File<'_>) -> Library {
    let machine = match file.architecture() {
        Architecture::Aarch64 => Machine::Arm64,
        Architecture::Arm => Machine::Arm,
        Architecture::X86_64 => Machine::X86_64,
        _ => Machine::Other,
    };
    Library {
        elf: matches!(file, File::Elf32(_) | File::Elf64(_)),
        machine,
        platform: Platform::Other,
        dynamic: file.kind() == ObjectKind::Dynamic,
        name: None,
        loads: file
            .segments()
            .map(|part| Load { align: part.align(), offset: part.file_range().0, address: part.address() })
            .collect(),
        exports: Vec::new(),
        imports: Vec::new(),
        needed: Vec::new(),
        unstripped: file.has_debug_symbols(),
        not_runnable: file.section_by_name(NOT_RUNNABLE).is_some(),
    }
}

fn of_elf<'data, Elf: FileHeader>(file: &ElfFile<'data, Elf>, library: &mut Library) -> object::Result<()> {
    for symbol in file.dynamic_symbols() {
        let name = String::from_utf8_lossy(symbol.name_bytes()?).into_owned();
        if symbol.is_undefined() {
            library.imports.push(name);
        } else if symbol.scope() == SymbolScope::Dynamic {
            library.exports.push(name);
        }
    }
    library.imports.retain(|name| !name.is_empty());
    library.unstripped |= file.sections().any(|section| {
        section
            .name()
            .is_ok_and(|name| name == ".symtab" || name.starts_with(".debug_") || name.starts_with(".zdebug_"))
    });
    let dynamic = file.elf_dynamic_table()?;
    for entry in dynamic.iter() {
        let tag = entry.tag;
        if tag == elf::DT_NEEDED || tag == elf::DT_SONAME {
            let name = String::from_utf8_lossy(dynamic.string(entry)?).into_owned();
            if tag == elf::DT_NEEDED { library.needed.push(name) } else { library.name = Some(name) }
        }
    }
    Ok(())
}

fn of_macho<'data, Mach: MachHeader>(file: &MachOFile<'data, Mach>, library: &mut Library) -> object::Result<()> {
    for symbol in file.symbols() {
        let name = plain(symbol.name_bytes()?);
        if symbol.is_undefined() {
            library.imports.push(name);
        } else if symbol.is_global() && symbol.scope() == SymbolScope::Dynamic {
            library.exports.push(name);
        }
    }
    for export in file.exports()? {
        if let object::read::NameOrOrdinal::Name(name) = export?.name() {
            library.exports.push(plain(name));
        }
    }
    for import in file.imports()? {
        if let object::read::NameOrOrdinal::Name(name) = import?.name() {
            library.imports.push(plain(name));
        }
    }
    let endian = file.endian();
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        if let Some((version, _)) = command.build_version(endian)? {
            library.platform = match version.platform.get(endian) {
                macho::PLATFORM_IOS => Platform::Ios,
                macho::PLATFORM_IOSSIMULATOR => Platform::Simulator,
                macho::PLATFORM_MACOS => Platform::MacOs,
                _ => Platform::Other,
            };
        }
        let own = match command.variant()? {
            LoadCommandVariant::IdDylib(own) => Some(own),
            _ => None,
        };
        if let Some(dylib) = command.dylib()?.or(own) {
            let name = String::from_utf8_lossy(command.string(endian, dylib.dylib.name)?).into_owned();
            if own.is_some() { library.name = Some(name) } else { library.needed.push(name) }
        }
    }
    Ok(())
}

/// C names have an underscore before them in Mach-O.
fn plain(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.strip_prefix('_').unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::example::{Dylib, SharedObject};
    use super::*;

    #[test]
    fn a_shared_object_says_what_it_offers_and_needs() {
        for machine in [Machine::Arm64, Machine::Arm, Machine::X86_64] {
            let bytes = SharedObject { machine, ..SharedObject::sound() }.write();
            let [library] = &slices(&bytes).unwrap()[..] else { panic!("one library") };
            assert!(library.elf && library.dynamic && !library.unstripped && !library.not_runnable);
            assert_eq!(library.machine, machine);
            assert_eq!(library.name.as_deref(), Some("libsotto_ffi.so"));
            assert!(library.exports.contains(&"JNI_OnLoad".to_owned()), "{:?}", library.exports);
            assert_eq!(library.imports, ["malloc"]);
            assert_eq!(library.needed, ["libc.so", "liblog.so"]);
            assert!(library.loads.iter().all(|load| load.align == 16384), "{:?}", library.loads);
        }
    }

    #[test]
    fn a_dylib_says_what_it_offers_and_where_it_runs() {
        let bytes = Dylib { platform: Platform::Simulator, ..Dylib::sound() }.write();
        let library = &slices(&bytes).unwrap()[0];
        assert!(!library.elf && library.dynamic);
        assert_eq!(library.machine, Machine::Arm64);
        assert_eq!(library.platform, Platform::Simulator);
        assert_eq!(library.name.as_deref(), Some("@rpath/sottoFFI.framework/sottoFFI"));
        assert!(library.exports.contains(&"ffi_sotto_ffi_uniffi_contract_version".to_owned()), "{:?}", library.exports);
        assert_eq!(library.imports, ["malloc"]);
        assert_eq!(library.needed, ["/usr/lib/libSystem.B.dylib"]);
    }

    #[test]
    fn a_universal_file_has_a_library_for_each_processor() {
        let one = Dylib::sound().write();
        let other = Dylib { machine: Machine::X86_64, ..Dylib::sound() }.write();
        let fat = super::super::example::universal(&[one, other]);
        let machines: Vec<Machine> = slices(&fat).unwrap().iter().map(|library| library.machine).collect();
        assert_eq!(machines, [Machine::Arm64, Machine::X86_64]);
    }

    #[test]
    fn what_is_no_library_is_refused_in_words() {
        assert!(slices(b"#!/bin/sh").unwrap_err().contains("no library"));
        assert!(slices(b"").is_err());
        let bytes = SharedObject::sound().write();
        for end in [4, 20, 64, 100, bytes.len() / 2] {
            let _ = slices(&bytes[..end]);
        }
    }
}
