#!/usr/bin/env bash
# Compiles an app's resources with aapt2, as the Android Gradle plugin does: R classes for the compiler, a package of
# resources and assets for Robolectric and for apk.sh. Called by Maven (pom.xml).
#
# Usage: resources.sh MODULE PACKAGE AAPT2 ANDROID_JAR ASSET=FILE…
set -euo pipefail
module="$1" package="$2" aapt2="$3" android="$4"
shift 4
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
made="$module/target/resources"
rm -rf "$made"
mkdir -p "$made/assets" "$module/target/classes" "$module/target/test-classes/com/android/tools"
chmod +x "$aapt2"

# Gradle writes these into the manifest from build.gradle.kts.
sed -e "s|<manifest |<manifest package=\"$package\" |" \
    -e 's|<application$|<uses-sdk android:minSdkVersion="26" android:targetSdkVersion="35" />\n    <application|' \
    "$module/src/main/AndroidManifest.xml" >"$made/AndroidManifest.xml"
for asset in "$@"; do
    mkdir -p "$(dirname "$made/assets/${asset%%=*}")"
    cp "${asset#*=}" "$made/assets/${asset%%=*}"
done

"$aapt2" compile --dir "$here/sample-ui/src/main/res" -o "$made/shared.zip"
"$aapt2" compile --dir "$module/src/main/res" -o "$made/own.zip"
# Models and recordings are mapped where they lie in the package, so they are not compressed.
"$aapt2" link -o "$made/resources.apk" -I "$android" --manifest "$made/AndroidManifest.xml" --java "$made/java" \
    --version-code 1 --version-name 0.1.0 -A "$made/assets" -0 sotto -0 flac "$made/shared.zip" "$made/own.zip"
find "$made/java" -name '*.java' -print0 | xargs -0 javac -nowarn --release 11 -d "$module/target/classes"

cat >"$module/target/test-classes/com/android/tools/test_config.properties" <<END
android_resource_apk=$made/resources.apk
android_merged_manifest=$made/AndroidManifest.xml
android_custom_package=$package
END
