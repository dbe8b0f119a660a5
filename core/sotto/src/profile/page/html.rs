//! Pieces of HTML.

use std::fmt::Write;

/// Escapes text for use between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A table of plain text; all columns except the first are numbers. Collapsed unless `open`, for tables that belong to
/// a plot.
pub(super) fn table(out: &mut String, caption: &str, head: &[&str], rows: &[Vec<String>], open: bool) {
    let caption = escape(caption);
    let open = if open { " open" } else { "" };
    let _ = write!(out, "<details{open}><summary>{caption}</summary><div class=scroll><table><thead><tr>");
    for cell in head {
        let _ = write!(out, "<th scope=col>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = if index == 0 { write!(out, "<th scope=row>{cell}</th>") } else { write!(out, "<td>{cell}</td>") };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></details>");
}

/// A whole page around `body`. Its content security policy forbids all network requests.
pub(super) fn page(title: &str, body: &str) -> String {
    let (title, style, script) = (escape(title), include_str!("style.css"), include_str!("script.js"));
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=Content-Security-Policy \
         content=\"default-src 'none';style-src 'unsafe-inline';script-src 'unsafe-inline'\">\
         <meta name=color-scheme content=\"light dark\"><title>{title}</title>\
         <style>{style}</style></head><body><main>{body}</main><script>{script}</script></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escape("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
        let mut out = String::new();
        table(&mut out, "<c>", &["<h>"], &[vec!["<r>".into(), "<d>".into()]], false);
        assert!(["<c>", "<h>", "<r>", "<d>"].iter().all(|raw| !out.contains(raw)), "{out}");
    }
}
