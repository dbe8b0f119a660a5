//! Small libraries for tests, written by hand: broken ones cannot be had from a linker.

use super::{Machine, Platform};

/// An ELF shared object with a dynamic symbol table and nothing to run.
pub struct SharedObject {
    pub machine: Machine,
    pub exports: Vec<String>,
    pub imports: Vec<&'static str>,
    pub needed: Vec<&'static str>,
    pub align: u64,
    /// Bytes of read-only data.
    pub data: Vec<u8>,
    /// Empty sections besides those that are needed.
    pub sections: Vec<&'static str>,
}

impl SharedObject {
    /// One that passes every gate.
    pub fn sound() -> Self {
        Self {
            machine: Machine::Arm64,
            exports: vec![
                "JNI_OnLoad".into(),
                "ffi_sotto_ffi_uniffi_contract_version".into(),
                "sotto_ffi_push_pcm".into(),
                "uniffi_sotto_ffi_fn_func_version".into(),
            ],
            imports: vec!["malloc"],
            needed: vec!["libc.so", "liblog.so"],
            align: 16384,
            data: b"text of the library".to_vec(),
            sections: Vec::new(),
        }
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let wide = self.machine != Machine::Arm;
        let mut strings = vec![0];
        let mut string = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let mut symbols = symbol(wide, 0, 0, 0);
        for name in &self.imports {
            symbols.extend(symbol(wide, string(name), 0x10, 0));
        }
        for name in &self.exports {
            symbols.extend(symbol(wide, string(name), 0x12, 1));
        }
        let mut dynamic = Vec::new();
        for name in &self.needed {
            word(&mut dynamic, wide, 1);
            word(&mut dynamic, wide, string(name));
        }
        word(&mut dynamic, wide, 14);
        word(&mut dynamic, wide, string("libsotto_ffi.so"));
        dynamic.extend(vec![0; if wide { 16 } else { 8 }]);

        let mut names = vec![0];
        let mut name = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.as_bytes());
            names.push(0);
            at
        };
        // Name, type, link, size of an entry, data.
        let mut sections: Vec<(u32, u32, u32, u64, Vec<u8>)> = vec![(0, 0, 0, 0, Vec::new())];
        sections.push((name(".rodata"), 1, 0, 0, self.data.clone()));
        sections.push((name(".dynstr"), 3, 0, 0, strings));
        sections.push((name(".dynsym"), 11, 2, if wide { 24 } else { 16 }, symbols));
        sections.push((name(".dynamic"), 6, 2, if wide { 16 } else { 8 }, dynamic));
        for extra in &self.sections {
            sections.push((name(extra), 1, 0, 0, vec![1]));
        }
        let own = name(".shstrtab");
        sections.push((own, 3, 0, 0, names));
        self.lay_out(wide, sections)
    }

    fn lay_out(&self, wide: bool, sections: Vec<(u32, u32, u32, u64, Vec<u8>)>) -> Vec<u8> {
        let (header, program, section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut body = Vec::new();
        let mut placed = Vec::new();
        for (name, kind, link, entry, data) in sections {
            placed.push((name, kind, link, entry, (header + program + body.len()) as u64, data.len() as u64));
            body.extend(data);
            body.resize(body.len().next_multiple_of(16), 0);
        }
        let table = header + program + body.len();
        let machine: u16 = match self.machine {
            Machine::Arm64 => 183,
            Machine::Arm => 40,
            _ => 62,
        };
        let mut file = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        half(&mut file, 3);
        half(&mut file, machine);
        int(&mut file, 1);
        word(&mut file, wide, 0);
        word(&mut file, wide, header as u64);
        word(&mut file, wide, table as u64);
        int(&mut file, 0);
        for value in [header, program, 1, section, placed.len(), placed.len() - 1] {
            half(&mut file, value as u16);
        }
        // One segment over the whole file.
        int(&mut file, 1);
        if wide {
            int(&mut file, 5);
        }
        for value in [0, 0, 0, table as u64, table as u64] {
            word(&mut file, wide, value);
        }
        if !wide {
            int(&mut file, 5);
        }
        word(&mut file, wide, self.align);
        file.extend(body);
        for (name, kind, link, entry, offset, size) in placed {
            int(&mut file, name);
            int(&mut file, kind);
            for value in [0, offset, offset, size] {
                word(&mut file, wide, value);
            }
            int(&mut file, link);
            int(&mut file, 1);
            word(&mut file, wide, 1);
            word(&mut file, wide, entry);
        }
        file
    }
}

fn symbol(wide: bool, name: u64, info: u8, section: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    int(&mut bytes, name as u32);
    if wide {
        bytes.extend([info, 0]);
        half(&mut bytes, section);
        bytes.extend([0; 16]);
    } else {
        bytes.extend([0; 8]);
        bytes.extend([info, 0]);
        half(&mut bytes, section);
    }
    bytes
}

/// A Mach-O dynamic library with a symbol table and nothing to run.
pub struct Dylib {
    pub machine: Machine,
    pub platform: Platform,
    pub name: &'static str,
    pub exports: Vec<&'static str>,
    pub imports: Vec<&'static str>,
    pub needed: Vec<&'static str>,
    /// Bytes behind everything else.
    pub data: Vec<u8>,
    /// A dylib; else an archive's object, as in frameworks that are linked into the app.
    pub dynamic: bool,
}

impl Dylib {
    /// One that passes every gate.
    pub fn sound() -> Self {
        Self {
            machine: Machine::Arm64,
            platform: Platform::Ios,
            name: "@rpath/sottoFFI.framework/sottoFFI",
            exports: vec!["_ffi_sotto_ffi_uniffi_contract_version", "_uniffi_sotto_ffi_fn_func_version"],
            imports: vec!["_malloc"],
            needed: vec!["/usr/lib/libSystem.B.dylib"],
            data: Vec::new(),
            dynamic: true,
        }
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let mut strings = vec![b' ', 0];
        let mut symbols = Vec::new();
        for (name, kind) in
            self.exports.iter().map(|name| (name, 0x0f)).chain(self.imports.iter().map(|name| (name, 0x01)))
        {
            int(&mut symbols, strings.len() as u32);
            symbols.extend([kind, u8::from(kind == 0x0f), 0, 1]);
            word(&mut symbols, true, 0);
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        let mut commands = vec![dylib_command(0x0d, self.name)];
        commands.extend(self.needed.iter().map(|name| dylib_command(0x0c, name)));
        let platform = match self.platform {
            Platform::MacOs => 1,
            Platform::Ios => 2,
            Platform::Simulator => 7,
            Platform::Other => 3,
        };
        let mut version = Vec::new();
        for value in [0x32, 24, platform, 0x10_0000, 0x10_0000, 0] {
            int(&mut version, value);
        }
        commands.push(version);
        let start = 32 + commands.iter().map(Vec::len).sum::<usize>() + 24;
        let mut table = Vec::new();
        let count = self.exports.len() + self.imports.len();
        for value in [2, 24, start, count, start + symbols.len(), strings.len()] {
            int(&mut table, value as u32);
        }
        commands.push(table);

        let (cpu, kind): (u32, u32) = match self.machine {
            Machine::Arm64 => (0x0100_000c, 0),
            _ => (0x0100_0007, 3),
        };
        let mut file = Vec::new();
        let size = commands.iter().map(Vec::len).sum::<usize>() as u32;
        for value in [0xfeed_facf, cpu, kind, if self.dynamic { 6 } else { 1 }, commands.len() as u32, size, 0x85, 0] {
            int(&mut file, value);
        }
        file.extend(commands.concat());
        file.extend(symbols);
        file.extend(strings);
        file.extend(&self.data);
        file
    }
}

fn dylib_command(kind: u32, name: &str) -> Vec<u8> {
    let size = (24 + name.len() + 1).next_multiple_of(8);
    let mut bytes = Vec::new();
    for value in [kind, size as u32, 24, 0, 0x1_0000, 0x1_0000] {
        int(&mut bytes, value);
    }
    bytes.extend(name.as_bytes());
    bytes.resize(size, 0);
    bytes
}

/// One file of several processors' libraries.
pub fn universal(slices: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xcafe_babe_u32.to_be_bytes());
    file.extend((slices.len() as u32).to_be_bytes());
    let mut body = Vec::new();
    for slice in slices {
        let offset = 4096 + body.len();
        for value in
            [u32::from_le_bytes([slice[4], slice[5], slice[6], slice[7]]), 0, offset as u32, slice.len() as u32, 12]
        {
            file.extend(value.to_be_bytes());
        }
        body.extend(slice);
        body.resize(body.len().next_multiple_of(4096), 0);
    }
    file.resize(4096, 0);
    file.extend(body);
    file
}

fn half(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_le_bytes());
}

fn int(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

fn word(bytes: &mut Vec<u8>, wide: bool, value: u64) {
    if wide { bytes.extend(value.to_le_bytes()) } else { int(bytes, value as u32) }
}
