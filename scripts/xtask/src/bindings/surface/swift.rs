//! Swift: what is public or open, without UniFFI's own machinery.

use super::{Declaration, Item, head_of, is_machinery, word_behind};

/// Public declarations of a file.
pub fn surface(items: &[Item]) -> Vec<Declaration> {
    items.iter().filter_map(top_level).collect()
}

fn top_level(item: &Item) -> Option<Declaration> {
    let head = head_of(item);
    let shown = head.strip_prefix("public ").or_else(|| head.starts_with("open ").then_some(&head))?;
    let keyword = ["protocol", "class", "struct", "enum", "func", "typealias", "let", "var"]
        .into_iter()
        .find(|keyword| word_behind(shown, keyword).is_some())?;
    let name = word_behind(shown, keyword)?;
    if is_machinery(name, &[]) || name.starts_with("uniffiEnsure") {
        return None;
    }
    let members = match keyword {
        "protocol" => item.items.iter().filter_map(requirement).collect(),
        "func" | "typealias" | "let" | "var" => Vec::new(),
        _ => item.items.iter().filter_map(|item| member(item, keyword == "class")).collect(),
    };
    Some(Declaration { head: tidy(shown), members })
}

/// What a protocol asks for.
fn requirement(item: &Item) -> Option<Declaration> {
    let head = head_of(item);
    let asked = ["func ", "var ", "static func ", "init("].iter().any(|word| head.starts_with(word));
    asked.then(|| Declaration { head: tidy(&head), members: Vec::new() })
}

/// What a type offers. The methods of an object stand in its protocol already.
fn member(item: &Item, object: bool) -> Option<Declaration> {
    let head = head_of(item);
    if head.starts_with("case ") {
        return Some(Declaration { head: tidy(&head), members: Vec::new() });
    }
    let shown = head.strip_prefix("public ")?;
    let machinery = ["uniffi", "noHandle", "unsafeFromHandle", "NoHandle"].iter().any(|word| shown.contains(word));
    let declares = ["init(", "convenience init(", "var ", "let ", "func ", "static func ", "static let "];
    let declared = declares.iter().any(|word| shown.starts_with(word));
    // Conformances that the generator writes for every record and error.
    let given = object && shown.starts_with("func ")
        || ["static func ==", "func hash(", "var errorDescription"].iter().any(|word| shown.starts_with(word));
    (declared && !machinery && !given).then(|| Declaration { head: tidy(shown), members: Vec::new() })
}

fn tidy(head: &str) -> String {
    head.replace(" ->", "->").replace("->", " ->").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    /// Shortened from what UniFFI 0.32.2 writes.
    const GENERATED: &str = r#"
        #if canImport(sottoFFI)
        import sottoFFI
        #endif
        fileprivate extension RustBuffer { init(bytes: [UInt8]) { self = 1 } }
        public protocol SessionProtocol: AnyObject, Sendable {
            /** Next. */
            func nextEvent() async throws  -> Event?
            func pushPcm(pcm: Data)  -> UInt64
        }
        open class Session: SessionProtocol, @unchecked Sendable {
            fileprivate let handle: UInt64
        #if swift(>=5.8)
            @_documentation(visibility: private)
        #endif
            public struct NoHandle { public init() {} }
            required public init(unsafeFromHandle handle: UInt64) { self.handle = handle }
            public init(noHandle: NoHandle) { self.handle = 0 }
            public func uniffiCloneHandle() -> UInt64 { return 1 }
        public convenience init(options: Options)throws  {
            self.init(unsafeFromHandle: 1)
        }
        public static func load(path: String)async throws  -> Session  { return 1 }
        open func pushPcm(pcm: Data) -> UInt64  { return 1 }
        }
        @_documentation(visibility: private)
        public struct FfiConverterTypeSession: FfiConverter { typealias FfiType = UInt64 }
        public func FfiConverterTypeSession_lift(_ handle: UInt64) throws -> Session { return 1 }
        public struct Options: Equatable, Hashable {
            public var language: String
            public init(
                /** Language. */language: String = "en",
                prompt: String? = nil) {
                self.language = language
            }
        }
        #if compiler(>=6)
        extension Options: Sendable {}
        #endif
        public enum Event: Equatable, Hashable {
            case volatile(text: String, at: Double
            )
            case ended
        }
        public 
        enum SpeechError: Swift.Error, Equatable, Hashable, Foundation.LocalizedError {
            case Cancelled
            public var errorDescription: String? {
                String(reflecting: self)
            }
        }
        public func version() -> String  { return 1 }
        public func uniffiEnsureSottoFfiInitialized() { }
    "#;

    #[test]
    fn what_apps_can_reach_is_kept_and_nothing_else() {
        let text = super::super::swift(GENERATED).unwrap();
        let expected = "\
enum Event: Equatable, Hashable
    case volatile(text: String, at: Double)
    case ended

enum SpeechError: Swift.Error, Equatable, Hashable, Foundation.LocalizedError
    case Cancelled

func version() -> String

open class Session: SessionProtocol, @unchecked Sendable
    convenience init(options: Options) throws
    static func load(path: String) async throws -> Session

protocol SessionProtocol: AnyObject, Sendable
    func nextEvent() async throws -> Event?
    func pushPcm(pcm: Data) -> UInt64

struct Options: Equatable, Hashable
    var language: String
    init(language: String = \"en\", prompt: String? = nil)
";
        assert_eq!(text.split_once("\n\n").unwrap().1, expected);
    }

    #[test]
    fn a_file_of_another_form_is_an_error_and_no_empty_surface() {
        assert!(super::super::swift("import Foundation\nfileprivate let a = 1\n").is_err());
    }
}
