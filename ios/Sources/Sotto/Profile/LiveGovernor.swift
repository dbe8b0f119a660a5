internal import SottoBindings

/// Chooses how hard live text may work, from heat, battery, deadline and measured speed. No clock inside: the same
/// inputs give the same decisions.
public final class LiveGovernor: Sendable {
    /// A model that may be chosen.
    public struct Tier: Sendable, Equatable {
        /// Its name in the app.
        public var name: String
        /// Time that it takes, relative to the best one's.
        public var cost: Double
        /// Its word error rate, where it is known.
        public var wordErrorRate: Double?

        /// A model under a name.
        public init(name: String, cost: Double, wordErrorRate: Double? = nil) {
            self.name = name
            self.cost = cost
            self.wordErrorRate = wordErrorRate
        }
    }

    /// What to compute with.
    public struct Setting: Sendable, Equatable {
        /// Threads.
        public var threads: UInt32
        /// Index of the model among the tiers.
        public var tier: UInt32
        /// Seconds of new voice after which live text is decoded again: ``LiveOptions/step``.
        public var stepSeconds: Double

        var raw: GovernedSetting { GovernedSetting(threads: threads, tier: tier, stepSeconds: stepSeconds) }
    }

    /// A decision.
    public struct Decision: Sendable, Equatable {
        /// What to compute with from now on.
        public var setting: Setting
        /// Why, in a word: `start`, `stay`, `deadline`, `heat`, `battery`, `relaxed`.
        public var why: String
        /// Whether the deadline is expected to be met.
        public var meetsDeadline: Bool
    }

    private let raw: SottoBindings.LiveGovernor

    /// A governor that knows nothing yet. `tiers` are the models, the best first; none of those behind `worstTier`, or
    /// with more word errors than `worstWordErrorRate`, is ever chosen.
    public init(
        threads: UInt32 = 0, tiers: [Tier] = [], worstTier: UInt32? = nil, worstWordErrorRate: Double? = nil
    ) {
        raw = SottoBindings.LiveGovernor(
            settings: GovernorSettings(
                threads: threads,
                tiers: tiers.map { ModelTier(name: $0.name, cost: $0.cost, wordErrorRate: $0.wordErrorRate) },
                worstTier: worstTier, worstWordErrorRate: worstWordErrorRate))
    }

    /// What to compute with from now on. `seconds` count from any origin; `spent` is what the last step took, and with
    /// which setting.
    public func decide(
        at seconds: Double, reading: DeviceReading, deadline: Double = 1,
        spent: (seconds: Double, setting: Setting)? = nil
    ) -> Decision {
        let decision = raw.decide(
            input: GovernorInput(
                atSeconds: seconds, reading: reading.raw, deadlineSeconds: deadline,
                spent: spent.map { SpentTime(seconds: $0.seconds, setting: $0.setting.raw) }))
        return Decision(decision)
    }
}

extension LiveGovernor.Decision {
    init(_ raw: GovernorDecision) {
        setting = LiveGovernor.Setting(
            threads: raw.setting.threads, tier: raw.setting.tier, stepSeconds: raw.setting.stepSeconds)
        why = raw.why
        meetsDeadline = raw.meetsDeadline
    }
}

extension SottoEngine {
    /// Tells what the platform knows of its device: heat, battery, power. Sessions with ``LiveOptions/adaptive`` follow
    /// it from here on. When something changes is enough; ``followDevice()`` does it. Microseconds.
    public func push(_ reading: DeviceReading) {
        raw.pushReading(reading: reading.raw)
    }

    /// What sessions with ``LiveOptions/adaptive`` compute with at the moment; nil while there are none. Cheap.
    public var adapted: LiveGovernor.Decision? { raw.adapted().map(LiveGovernor.Decision.init) }
}
