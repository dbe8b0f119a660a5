#!/usr/bin/env bash
# Assembles an app's APK from what Maven compiled: D8, zipalign, apksigner. Without the native library, which needs an
# NDK: it shows that everything else of the app fits together, and it starts with a message that says what is missing.
#
# Usage: apk.sh speech|profiler
# After `mvn -f sample-apps/android package`. Makes target/APP.apk, signed with a key of a day.
set -euo pipefail
app="${1:?speech or profiler}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="$here/$app/target"
made="$target/apk"
[[ -f "$target/classpath.txt" ]] || { echo "sotto: first: mvn -f sample-apps/android package" >&2; exit 1; }
rm -rf "$made"
mkdir -p "$made/dex"

# The class path that the app was compiled with, as Maven wrote it down; Android's own classes apart.
mapfile -t jars < <(tr ':' '\n' <"$target/classpath.txt" | grep -v '/android-all-')
android="$(tr ':' '\n' <"$target/classpath.txt" | grep '/android-all-')"
mapfile -t classes < <(find "$target/classes" -name '*.class')
java_home="$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")"
java -Xmx1g -cp "$target/tools/r8.jar" com.android.tools.r8.D8 --release --min-api 26 \
    --lib "$android" --lib "$java_home" --output "$made/dex" "${classes[@]}" "${jars[@]}"

cp "$target/resources/resources.apk" "$made/unsigned.apk"
# What must travel with an app: in Gradle's build the AAR brings it.
mkdir -p "$made/assets/sotto"
for notice in licences:licences.txt sbom:sbom.cdx.json; do
    (cd "$here" && cargo xtask "${notice%%:*}" --out "$made/assets/sotto/${notice#*:}" >/dev/null)
done
(cd "$made" && zip -q -r unsigned.apk assets)
(cd "$made/dex" && zip -q "$made/unsigned.apk" classes*.dex)
zipalign -f -p 4 "$made/unsigned.apk" "$made/aligned.apk"
keytool -genkeypair -keystore "$made/key.p12" -storepass of-a-day -alias key -keyalg EC \
    -dname "CN=Sotto sample" -validity 1
apksigner sign --ks "$made/key.p12" --ks-pass pass:of-a-day --out "$target/$app.apk" "$made/aligned.apk"
apksigner verify "$target/$app.apk"
printf '%s: %s bytes, %s classes.dex\n' "$target/$app.apk" "$(stat -c %s "$target/$app.apk")" \
    "$(find "$made/dex" -name '*.dex' | wc -l)"
