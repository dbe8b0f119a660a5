//! Android: log lines go to logcat, sections to Perfetto, and threads that compute for long are known to the Java
//! virtual machine.

use std::ffi::{CStr, c_char, c_void};

use android_logger::Config;
use jni::JavaVM;
use jni::sys::{JNI_VERSION_1_6, jint};
use log::LevelFilter;
use once_cell::sync::OnceCell;
use sotto::HelperSetup;

use crate::tracing::Tracer;

static INSTALLED: OnceCell<()> = OnceCell::new();

/// The virtual machine that loaded this library.
static MACHINE: OnceCell<JavaVM> = OnceCell::new();

/// Called by `System.loadLibrary`, before anything else of this library; JNA's own loading does not call it, so the
/// Kotlin package loads the library itself first.
#[expect(unsafe_code, reason = "the virtual machine finds this function by its name")]
// SAFETY: the name is the one that the Java Native Interface gives to this function, and its signature is that one.
#[unsafe(no_mangle)]
pub extern "system" fn JNI_OnLoad(machine: *mut jni::sys::JavaVM, _reserved: *mut c_void) -> jint {
    if !machine.is_null() {
        // SAFETY: not null, and the virtual machine hands its own pointer to this function.
        MACHINE.get_or_init(|| unsafe { JavaVM::from_raw(machine) });
    }
    JNI_VERSION_1_6
}

pub(crate) fn install_logger() {
    // Where the app has a logger already, that one stays.
    INSTALLED.get_or_init(|| {
        android_logger::init_once(Config::default().with_tag("sotto").with_max_level(LevelFilter::Trace));
    });
}

/// Attaches a helper to the virtual machine once, for as long as it lives: attaching for every call would cost more
/// than the call, and profilers show attached threads by name.
pub(crate) fn helper_setup() -> HelperSetup {
    HelperSetup::new(|| {
        if let Some(machine) = MACHINE.get() {
            // A thread that cannot be attached computes all the same.
            let _ = machine.attach_current_thread(|_| Ok::<_, jni::errors::Error>(()));
        }
    })
}

// What `android.os.Trace` calls below its surface; there since Android 6. They do nothing while nobody traces this app.
#[expect(unsafe_code, reason = "functions of the system")]
#[link(name = "android")]
// SAFETY: names and signatures are those of <android/trace.h>.
unsafe extern "C" {
    fn ATrace_beginSection(name: *const c_char);
    safe fn ATrace_endSection();
}

struct Atrace;

impl Tracer for Atrace {
    #[expect(unsafe_code, reason = "hands a pointer to the system")]
    fn begin(&self, name: &CStr) {
        // SAFETY: a string that ends in zero, which the function copies.
        unsafe { ATrace_beginSection(name.as_ptr()) }
    }

    fn end(&self) {
        ATrace_endSection();
    }
}

pub(crate) fn tracer() -> Option<Box<dyn Tracer>> {
    Some(Box::new(Atrace))
}
