import Foundation
public import Sotto

/// The small English recognizer that comes with Sotto: speech-to-text before anything is fetched.
public enum StarterModel {
    /// The recognizer: English, a little less exact than Whisper tiny.en. For other languages and fewer errors take a
    /// larger model.
    ///
    /// Throws ``SottoError/invalidModel(reason:nextStep:)`` where the package was built without its resource.
    public static func speech() throws(SottoError) -> ModelSource {
        guard let url = Bundle.module.url(forResource: "starter.en", withExtension: "sotto", subdirectory: "Resources")
        else {
            throw .invalidModel(
                reason: "the starter model is not in this bundle",
                nextStep: "run `cargo xtask bindings` in Sotto's checkout, or take the package of a release")
        }
        return .file(url)
    }
}
