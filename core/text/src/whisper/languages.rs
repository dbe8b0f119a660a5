//! The languages that Whisper was trained on, in the order of their tokens (source: openai/whisper `tokenizer.py`).

/// One language of Whisper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language {
    /// Whisper's code: mostly ISO 639-1, as in `<|en|>`; `haw`, `jw` and `yue` are its own.
    pub code: &'static str,
    /// English name, lower case.
    pub name: &'static str,
    /// Other English names, and ISO 639 codes (three-letter, withdrawn, and those of the main member of a
    /// macrolanguage) that mean this language to Whisper.
    pub aliases: &'static [&'static str],
}

const fn plain(code: &'static str, name: &'static str) -> Language {
    Language { code, name, aliases: &[] }
}

const fn also(code: &'static str, name: &'static str, aliases: &'static [&'static str]) -> Language {
    Language { code, name, aliases }
}

/// All languages in token order. Models before large-v3 know the first 99.
pub const LANGUAGES: [Language; 100] = [
    also("en", "english", &["eng"]),
    also("zh", "chinese", &["mandarin", "zho", "chi", "cmn"]),
    also("de", "german", &["deu", "ger"]),
    also("es", "spanish", &["castilian", "spa"]),
    also("ru", "russian", &["rus"]),
    also("ko", "korean", &["kor"]),
    also("fr", "french", &["fra", "fre"]),
    also("ja", "japanese", &["jpn"]),
    also("pt", "portuguese", &["por"]),
    also("tr", "turkish", &["tur"]),
    also("pl", "polish", &["pol"]),
    also("ca", "catalan", &["valencian", "cat"]),
    also("nl", "dutch", &["flemish", "nld", "dut"]),
    also("ar", "arabic", &["ara", "arb"]),
    also("sv", "swedish", &["swe"]),
    also("it", "italian", &["ita"]),
    also("id", "indonesian", &["ind", "in"]),
    also("hi", "hindi", &["hin"]),
    also("fi", "finnish", &["fin"]),
    also("vi", "vietnamese", &["vie"]),
    // The files of the first models use the code `iw`, just as they use `jw` for what is `jv` elsewhere.
    also("he", "hebrew", &["iw", "heb"]),
    also("uk", "ukrainian", &["ukr"]),
    also("el", "greek", &["ell", "gre"]),
    also("ms", "malay", &["msa", "may", "zsm"]),
    also("cs", "czech", &["ces", "cze"]),
    also("ro", "romanian", &["moldavian", "moldovan", "ron", "rum", "mo"]),
    also("da", "danish", &["dan"]),
    also("hu", "hungarian", &["hun"]),
    also("ta", "tamil", &["tam"]),
    also("no", "norwegian", &["nor", "nb", "nob", "bokmål", "bokmal"]),
    also("th", "thai", &["tha"]),
    also("ur", "urdu", &["urd"]),
    also("hr", "croatian", &["hrv"]),
    also("bg", "bulgarian", &["bul"]),
    also("lt", "lithuanian", &["lit"]),
    also("la", "latin", &["lat"]),
    also("mi", "maori", &["mri", "mao"]),
    also("ml", "malayalam", &["mal"]),
    also("cy", "welsh", &["cym", "wel"]),
    also("sk", "slovak", &["slk", "slo"]),
    also("te", "telugu", &["tel"]),
    also("fa", "persian", &["fas", "per", "pes", "prs", "farsi"]),
    also("lv", "latvian", &["lav", "lvs"]),
    also("bn", "bengali", &["ben", "bangla"]),
    also("sr", "serbian", &["srp", "sh"]),
    also("az", "azerbaijani", &["aze", "azj"]),
    also("sl", "slovenian", &["slv"]),
    also("kn", "kannada", &["kan"]),
    also("et", "estonian", &["est", "ekk"]),
    also("mk", "macedonian", &["mkd", "mac"]),
    also("br", "breton", &["bre"]),
    also("eu", "basque", &["eus", "baq"]),
    also("is", "icelandic", &["isl", "ice"]),
    also("hy", "armenian", &["hye", "arm"]),
    also("ne", "nepali", &["nep", "npi"]),
    also("mn", "mongolian", &["mon", "khk"]),
    also("bs", "bosnian", &["bos"]),
    also("kk", "kazakh", &["kaz"]),
    also("sq", "albanian", &["sqi", "alb", "als"]),
    also("sw", "swahili", &["swa", "swh"]),
    also("gl", "galician", &["glg"]),
    also("mr", "marathi", &["mar"]),
    also("pa", "punjabi", &["panjabi", "pan"]),
    also("si", "sinhala", &["sinhalese", "sin"]),
    also("km", "khmer", &["khm"]),
    also("sn", "shona", &["sna"]),
    also("yo", "yoruba", &["yor"]),
    also("so", "somali", &["som"]),
    also("af", "afrikaans", &["afr"]),
    also("oc", "occitan", &["oci"]),
    also("ka", "georgian", &["kat", "geo"]),
    also("be", "belarusian", &["bel"]),
    also("tg", "tajik", &["tgk"]),
    also("sd", "sindhi", &["snd"]),
    also("gu", "gujarati", &["guj"]),
    also("am", "amharic", &["amh"]),
    also("yi", "yiddish", &["yid", "ydd", "ji"]),
    plain("lo", "lao"),
    also("uz", "uzbek", &["uzb", "uzn"]),
    also("fo", "faroese", &["fao"]),
    also("ht", "haitian creole", &["haitian", "hat"]),
    also("ps", "pashto", &["pushto", "pus", "pbt"]),
    also("tk", "turkmen", &["tuk"]),
    also("nn", "nynorsk", &["nno"]),
    also("mt", "maltese", &["mlt"]),
    also("sa", "sanskrit", &["san"]),
    also("lb", "luxembourgish", &["letzeburgesch", "ltz"]),
    also("my", "myanmar", &["burmese", "mya", "bur"]),
    also("bo", "tibetan", &["bod", "tib"]),
    also("tl", "tagalog", &["tgl", "fil", "filipino"]),
    also("mg", "malagasy", &["mlg", "plt"]),
    also("as", "assamese", &["asm"]),
    also("tt", "tatar", &["tat"]),
    plain("haw", "hawaiian"),
    also("ln", "lingala", &["lin"]),
    also("ha", "hausa", &["hau"]),
    also("ba", "bashkir", &["bak"]),
    also("jw", "javanese", &["jv", "jav"]),
    also("su", "sundanese", &["sun"]),
    plain("yue", "cantonese"),
];

/// The language of a code, an English name or a language tag, in upper or lower case: `en`, `English`, `flemish`,
/// `eng`.
///
/// Only the language of a tag counts (BCP 47: `pt-BR`, `zh-Hant-TW`; also system locales such as `pt_BR` and
/// `de_DE.UTF-8`), because Whisper knows no regions and scripts. Cantonese is recognised only by its own codes (`yue`,
/// `zh-yue`).
#[must_use]
pub fn language(code_or_name: &str) -> Option<&'static Language> {
    let wanted = code_or_name.trim();
    named(wanted).or_else(|| tagged(wanted))
}

fn named(wanted: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| {
        [language.code, language.name].iter().chain(language.aliases).any(|known| known.eq_ignore_ascii_case(wanted))
    })
}

fn tagged(wanted: &str) -> Option<&'static Language> {
    // A system's locale may end in an encoding and a modifier.
    let tag = wanted.split(['.', '@']).next()?;
    let well_formed =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts = || tag.split(['-', '_']);
    let primary = parts().next().filter(|primary| (2..=3).contains(&primary.len()))?;
    if !parts().all(well_formed) {
        return None;
    }
    let extended = parts().nth(1).filter(|part| primary.eq_ignore_ascii_case("zh") && part.eq_ignore_ascii_case("yue"));
    named(extended.unwrap_or(primary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_aliases_lead_to_one_language() {
        for (wanted, code) in [("en", "en"), ("English", "en"), (" FLEMISH ", "nl"), ("Haitian Creole", "ht")] {
            assert_eq!(language(wanted).map(|language| language.code), Some(code), "{wanted}");
        }
        assert_eq!(language("elvish"), None);
        assert_eq!(language(""), None);
    }

    #[test]
    fn tags_of_systems_and_of_the_web_lead_to_their_language() {
        for (wanted, code) in [
            ("en-US", "en"),
            ("EN-us", "en"),
            ("en_GB", "en"),
            ("zh-CN", "zh"),
            ("zh-Hant-TW", "zh"),
            ("zh_Hans_CN", "zh"),
            ("cmn-Hans-CN", "zh"),
            ("yue-Hant-HK", "yue"),
            ("zh-yue", "yue"),
            ("pt_BR", "pt"),
            ("pt-PT", "pt"),
            ("es-419", "es"),
            ("sr-Latn", "sr"),
            ("de-CH-1996", "de"),
            ("nb", "no"),
            ("nb-NO", "no"),
            ("no-NO", "no"),
            ("nn-NO", "nn"),
            ("jv", "jw"),
            ("jv-ID", "jw"),
            ("iw-IL", "he"),
            ("in_ID", "id"),
            ("fil-PH", "tl"),
            ("deu", "de"),
            ("ger", "de"),
            ("eng_Latn", "en"),
            ("arb_Arab", "ar"),
            ("haw-US", "haw"),
            ("de_DE.UTF-8", "de"),
            ("ca_ES@valencia", "ca"),
            ("en-US-x-private", "en"),
        ] {
            assert_eq!(language(wanted).map(|language| language.code), Some(code), "{wanted}");
        }
        for wanted in
            ["e", "en-", "-US", "en--US", "en US", "en-US!", "en-waytoolongapart", "tlh-QO", "german-DE", ".", "@en"]
        {
            assert_eq!(language(wanted), None, "{wanted}");
        }
    }

    #[test]
    fn every_language_is_found_by_whatever_it_is_called() {
        for known in &LANGUAGES {
            for name in [known.code, known.name].iter().chain(known.aliases) {
                assert_eq!(language(name), Some(known), "{name}");
                assert_eq!(language(&name.to_ascii_uppercase()), Some(known), "{name}");
            }
        }
    }

    #[test]
    fn no_two_languages_share_a_name() {
        let mut names: Vec<_> =
            LANGUAGES.iter().flat_map(|l| [l.code, l.name].into_iter().chain(l.aliases.iter().copied())).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
    }
}
