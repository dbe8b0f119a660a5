// Just enough of SwiftUI's shapes for the views of the samples to be type-checked where there is no SwiftUI. It shows
// wrong members of our own models and wrong isolation; of Apple's interface it proves nothing.
public import Foundation

@MainActor @preconcurrency public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}
extension Never: View {
    public typealias Body = Never
    public var body: Never { return neverBody() }
}
private func neverBody() -> Never { fatalError() }
public protocol Leaf: View where Body == Never {}
extension Leaf { public var body: Never { return neverBody() } }

@resultBuilder public enum ViewBuilder {
    public static func buildPartialBlock<First: View>(first: First) -> First { first }
    public static func buildPartialBlock<Before: View, Next: View>(accumulated: Before, next: Next) -> Group { Group() }
    public static func buildOptional<Content: View>(_ content: Content?) -> Content? { content }
    public static func buildEither<A: View, B: View>(first: A) -> Either<A, B> { Either() }
    public static func buildEither<A: View, B: View>(second: B) -> Either<A, B> { Either() }
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }
}
extension Optional: View where Wrapped: View {
    public typealias Body = Never
    public var body: Never { return neverBody() }
}
public struct Either<A: View, B: View>: Leaf { nonisolated public init() {} }
public struct Group: Leaf { nonisolated public init() {} }
public struct EmptyView: Leaf { public init() {} }
public typealias AnyStub = Group

@MainActor @preconcurrency public protocol Scene {}
@MainActor @preconcurrency public protocol App {
    associatedtype Body: Scene
    var body: Body { get }
    init()
}
extension App { public static func main() {} }
public struct WindowGroup: Scene { public init<C: View>(@ViewBuilder _ content: () -> C) {} }

public struct LocalizedStringKey: ExpressibleByStringInterpolation, Equatable {
    public init(stringLiteral value: String) {}
}
public struct Text: Leaf {
    nonisolated public init(_ key: LocalizedStringKey) {}
    @_disfavoredOverload nonisolated public init<S: StringProtocol>(_ text: S) {}
    nonisolated public init(verbatim: String) {}
    nonisolated public static func + (a: Text, b: Text) -> Text { a }
    nonisolated public func foregroundStyle(_ style: Style) -> Text { self }
}
public struct Style: Sendable { public static let secondary = Style(), red = Style() }
public struct Font: Sendable { public static let title2 = Font(), callout = Font(), caption = Font() }
public struct HorizontalAlignment: Sendable {
    public static let leading = HorizontalAlignment()
    public static let center = HorizontalAlignment()
}
public struct Alignment: Sendable { public static let leading = Alignment(), center = Alignment() }
public struct VStack: Leaf {
    public init<C: View>(
        alignment: HorizontalAlignment = .center, spacing: Double? = nil, @ViewBuilder content: () -> C) {}
}
public struct LazyVStack: Leaf {
    public init<C: View>(
        alignment: HorizontalAlignment = .center, spacing: Double? = nil, @ViewBuilder content: () -> C) {}
}
public struct ScrollView: Leaf { public init<C: View>(@ViewBuilder content: () -> C) {} }
public struct List: Leaf { public init<C: View>(@ViewBuilder content: () -> C) {} }
public struct Section: Leaf {
    public init<C: View>(_ title: LocalizedStringKey, @ViewBuilder content: () -> C) {}
}
public struct TabView: Leaf { public init<C: View>(@ViewBuilder content: () -> C) {} }
public struct Label: Leaf { public init(_ key: LocalizedStringKey, systemImage: String) {} }
public struct ForEach: Leaf {
    public init<D: RandomAccessCollection, C: View>(_ data: D, @ViewBuilder content: @escaping (D.Element) -> C)
    where D.Element: Identifiable {}
    public init<D: RandomAccessCollection, ID: Hashable, C: View>(
        _ data: D, id: KeyPath<D.Element, ID>, @ViewBuilder content: @escaping (D.Element) -> C) {}
}
public struct Button: Leaf {
    public init(_ key: LocalizedStringKey, action: @escaping @MainActor () -> Void) {}
    @_disfavoredOverload public init<S: StringProtocol>(_ text: S, action: @escaping @MainActor () -> Void) {}
    public init<C: View>(action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> C) {}
}
public struct ProgressView: Leaf { public init(value: Double) {} }
public struct ShareLink: Leaf { public init(item: URL) {} }
public struct ButtonStyle: Sendable { public static let borderedProminent = ButtonStyle() }
extension View {
    public func font(_ font: Font) -> AnyStub { fatalError() }
    public func padding() -> AnyStub { fatalError() }
    public func foregroundStyle(_ style: Style) -> AnyStub { fatalError() }
    public func frame(
        maxWidth: Double? = nil, minHeight: Double? = nil, alignment: Alignment = .center
    ) -> AnyStub { fatalError() }
    public func buttonStyle(_ style: ButtonStyle) -> AnyStub { fatalError() }
    public func tabItem<C: View>(@ViewBuilder _ label: () -> C) -> AnyStub { fatalError() }
    public func accessibilityLabel(_ key: LocalizedStringKey) -> AnyStub { fatalError() }
    @_disfavoredOverload public func accessibilityLabel<S: StringProtocol>(_ text: S) -> AnyStub { fatalError() }
    public func accessibilityValue(_ text: Text) -> AnyStub { fatalError() }
    @_disfavoredOverload public func accessibilityValue<S: StringProtocol>(_ text: S) -> AnyStub { fatalError() }
    public func task<ID: Equatable>(
        id: ID, _ action: @escaping @Sendable @MainActor () async -> Void
    ) -> AnyStub { fatalError() }
    public func accessibilityHint(_ key: LocalizedStringKey) -> AnyStub { fatalError() }
    public func fileImporter(
        isPresented: Binding<Bool>, allowedContentTypes: [UTType],
        onCompletion: @escaping @MainActor (Result<URL, any Error>) -> Void
    ) -> AnyStub { fatalError() }
}
public struct UTType: Sendable { public static let audio = UTType() }
public struct Binding<Value> {}
@MainActor @propertyWrapper public struct State<Value> {
    public var wrappedValue: Value {
        get { fatalError() }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { fatalError() }
    public init(wrappedValue: Value) {}
}
