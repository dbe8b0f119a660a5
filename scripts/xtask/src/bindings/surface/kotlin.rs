//! Kotlin: what is neither private nor internal, without UniFFI's own machinery, which is public for no one's sake.

use super::{Declaration, Item, head_of, is_machinery, word_behind};

/// Public by the generator, and of no use to apps.
const MACHINERY: &[&str] = &["Disposable", "ForeignBytes", "InternalException", "NoHandle", "RustBuffer"];

/// Public declarations of a file.
pub fn surface(items: &[Item]) -> Vec<Declaration> {
    declarations(items)
}

fn declarations(items: &[Item]) -> Vec<Declaration> {
    let mut found = Vec::new();
    let mut throws = None;
    for item in items {
        let mut head = head_of(item);
        // An annotation stands on a line of its own, or before its declaration.
        while head.starts_with('@') {
            let annotation = head.find(')').map_or(head.clone(), |end| head[..=end].to_owned());
            if let Some(rest) = annotation.strip_prefix("@Throws(") {
                throws = rest.split_once("::class").map(|(name, _)| name.to_owned());
            }
            head = head[annotation.len()..].trim_start().to_owned();
        }
        if head.is_empty() {
            continue;
        }
        if let Some(mut declaration) = declaration(&head, item) {
            if let Some(error) = throws.take() {
                declaration.head.push_str(&format!(" throws {error}"));
            }
            found.push(declaration);
        }
        throws = None;
    }
    found
}

fn declaration(head: &str, item: &Item) -> Option<Declaration> {
    let head = head.strip_prefix("public ").unwrap_or(head);
    let hidden = ["private ", "internal ", "protected ", "override ", "inline "];
    if hidden.iter().any(|word| head.starts_with(word)) {
        return None;
    }
    let head = head.replace("kotlin.", "");
    // The companion that every type gets is empty, and that of an error holds machinery; others hold constructors.
    if head.starts_with("companion object") {
        let members = members(&head, &item.items);
        return (!members.is_empty()).then_some(Declaration { head: "companion object".into(), members });
    }
    for keyword in ["class", "interface", "object"] {
        if let Some(name) = word_behind(&head, keyword) {
            let members = members(&head, &item.items);
            return (!is_machinery(name, MACHINERY)).then_some(Declaration { head, members });
        }
    }
    let callable = head.starts_with("constructor(") || head.starts_with("fun ") || head.starts_with("suspend fun ");
    let field = head.starts_with("val ") || head.starts_with("var ") || head.starts_with("const val ");
    if !callable && !field || head.contains("withHandle: UniffiWithHandle") || head.contains("noHandle: NoHandle") {
        return None;
    }
    let name = word_behind(&head, "fun").or_else(|| word_behind(&head, "val")).unwrap_or_default();
    if is_machinery(name, &["destroy"]) {
        return None;
    }
    Some(Declaration { head: if callable { signature(&head) } else { field_of(&head) }, members: Vec::new() })
}

/// What a type declares. Entries of an enum stand before its other members, in one item.
fn members(head: &str, items: &[Item]) -> Vec<Declaration> {
    if !head.starts_with("enum class") {
        return declarations(items);
    }
    let mut members = Vec::new();
    for item in items {
        let head = head_of(item);
        let entries: Vec<&str> = head.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        let all_names =
            entries.iter().all(|entry| entry.chars().all(|c| c.is_uppercase() || c.is_numeric() || c == '_'));
        if all_names {
            members.extend(entries.iter().map(|entry| Declaration { head: (*entry).into(), members: Vec::new() }));
        }
    }
    members.extend(declarations(items));
    members
}

/// A function up to its result: what comes behind `=`, or behind the `:` of a constructor, is its body.
fn signature(head: &str) -> String {
    let mut depth = 0_usize;
    for (at, letter) in head.char_indices() {
        match letter {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth = depth.saturating_sub(1),
            '=' if depth == 0 => return head[..at].trim_end().to_owned(),
            ':' if depth == 0 && head.starts_with("constructor") => return head[..at].trim_end().to_owned(),
            _ => {}
        }
    }
    head.to_owned()
}

/// A property without the way in which it is computed.
fn field_of(head: &str) -> String {
    head.split(" get()").next().unwrap_or(head).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::items::parse;
    use super::*;

    /// Shortened from what UniFFI 0.32.2 writes.
    const GENERATED: &str = r#"
        @Structure.FieldOrder("capacity")
        open class RustBuffer : Structure() { fun asByteBuffer() = 1 }
        internal object UniffiLib { fun a(): Int { return 1 } }
        public object FfiConverterString: FfiConverter<String, RustBuffer.ByValue> { fun lift() = 1 }
        inline fun <T : Disposable?, R> T.use(block: (T) -> R) = block(this)
        public interface SessionInterface {
            /** Next. */
            suspend fun `nextEvent`(): Event?
            fun `pushPcm`(`pcm`: java.nio.ByteBuffer): kotlin.ULong
            companion object
        }
        open class Session: Disposable, AutoCloseable, SessionInterface
        {
            constructor(withHandle: UniffiWithHandle, handle: Long) { this.handle = handle }
            constructor(`options`: Options) :
                this(UniffiWithHandle,
                uniffiRustCallWithError(SpeechException) { _status -> UniffiLib.new(1,_status) }
            )
            protected val handle: Long
            val uniffiIsDestroyed: Boolean get() = wasDestroyed.get()
            override fun `cancel`()
                =
                callWithHandle { uniffiRustCall() { 1 } }
            companion object {
                @Throws(SpeechException::class)
                 suspend fun `load`(`path`: kotlin.String) : Session { return 1 }
            }
        }
        data class Options (
            /** Language. */
            val `language`: kotlin.String = "en"
            ,
            val `prompt`: kotlin.String? = null
        ){
            companion object
        }
        sealed class Event {
            data class Final(
                val `text`: kotlin.String) : Event()
            {
                companion object
            }
            object Ended : Event()
            companion object
        }
        enum class Level {
            LOW,
            HIGH;
            companion object
        }
        sealed class SpeechException: kotlin.Exception() {
            class Cancelled(
                ) : SpeechException() {
                override val message
                    get() = ""
            }
            companion object ErrorHandler : UniffiRustCallStatusErrorHandler<SpeechException> {
                override fun lift(error_buf: RustBuffer.ByValue): SpeechException = FfiConverterTypeSpeechError.lift(1)
            }
        }
            @Throws(SpeechException::class) fun `cues`(`segments`: List<Segment>): List<Cue> {
            return FfiConverterString.lift(1)
        }
         fun `version`(): kotlin.String {
            return FfiConverterString.lift(1)
        }
    "#;

    #[test]
    fn what_apps_can_reach_is_kept_and_nothing_else() {
        let text = super::super::kotlin(GENERATED).unwrap();
        let expected = "\
data class Options(val language: String = \"en\", val prompt: String? = null)

enum class Level
    LOW
    HIGH

fun cues(segments: List<Segment>): List<Cue> throws SpeechException

fun version(): String

interface SessionInterface
    suspend fun nextEvent(): Event?
    fun pushPcm(pcm: java.nio.ByteBuffer): ULong

open class Session: Disposable, AutoCloseable, SessionInterface
    constructor(options: Options)
    companion object
        suspend fun load(path: String): Session throws SpeechException

sealed class Event
    data class Final(val text: String): Event()
    object Ended: Event()

sealed class SpeechException: Exception()
    class Cancelled(): SpeechException()
";
        assert_eq!(text.split_once("\n\n").unwrap().1, expected);
    }

    #[test]
    fn a_default_that_changes_changes_the_surface() {
        let other = GENERATED.replace("\"en\"", "\"de\"");
        assert_ne!(super::super::kotlin(GENERATED).unwrap(), super::super::kotlin(&other).unwrap());
    }

    #[test]
    fn bodies_and_comments_do_not_change_the_surface() {
        let other = GENERATED.replace("Next.", "Another.").replace("UniffiLib.new(1", "UniffiLib.new(2");
        assert_eq!(super::super::kotlin(GENERATED).unwrap(), super::super::kotlin(&other).unwrap());
    }

    #[test]
    fn a_file_of_another_form_is_an_error_and_no_empty_surface() {
        assert!(super::super::kotlin("package a\n").is_err());
        assert!(surface(&parse("internal class A { fun b() {} }")).is_empty());
    }
}
