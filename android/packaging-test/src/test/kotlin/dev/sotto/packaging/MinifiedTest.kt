package dev.sotto.packaging

import com.android.tools.r8.CompilationMode
import com.android.tools.r8.OutputMode
import com.android.tools.r8.R8
import com.android.tools.r8.R8Command
import com.android.tools.r8.origin.Origin
import org.junit.jupiter.api.Test
import java.io.File
import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import java.util.jar.JarOutputStream
import java.util.zip.ZipEntry
import java.util.zip.ZipFile
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

/** An app that R8 has shrunk, optimized and renamed in full mode still reaches every function. */
class MinifiedTest {
    private val folder = Files.createTempDirectory("sotto-r8")
    private val root = File(System.getProperty("sotto.root")).canonicalFile

    @Test
    fun `a minified app calls every function`() {
        val shrunk = shrink()
        val classes = ZipFile(shrunk.toFile()).use { zip -> zip.entries().asSequence().map { it.name }.toSet() }
        // It is a test of R8 only where R8 did something.
        assertFalse("dev/sotto/internal/JobsKt.class" in classes)
        assertTrue("dev/sotto/ffi/Engine.class" in classes)
        assertEquals("every function was called", run(shrunk).trim().lines().last())
    }

    /** All of the class path in one archive; the rules inside the archives are found by R8, as in an app. */
    private fun shrink(): Path {
        val output = folder.resolve("app.jar")
        val command = R8Command.builder()
            .setMode(CompilationMode.RELEASE)
            .setProguardCompatibility(false)
            .addProgramFiles(program())
            .addLibraryResourceProvider(com.android.tools.r8.JdkClassFileProvider.fromSystemJdk())
            .addProguardConfiguration(
                listOf("-keep public class dev.sotto.packaging.AppKt { public static void main(java.lang.String[]); }"),
                Origin.unknown(),
            )
            .setOutput(output, OutputMode.ClassFile)
            .build()
        R8.run(command)
        return output
    }

    private fun program(): List<Path> {
        val wanted = listOf(
            "sotto-kotlin", "sotto-bindings", "packaging-test", "kotlin-stdlib", "annotations",
            "kotlinx-coroutines-core", "jna",
        )
        val path = System.getProperty("java.class.path").split(File.pathSeparator).map { File(it) }
        return wanted.flatMap { name ->
            // A library for several platforms is two archives, of which one has the classes.
            path.filter { entry ->
                if (entry.isDirectory) {
                    entry.name == "classes" && entry.parentFile.parentFile.name == name
                } else {
                    Regex("""\Q$name\E(-jvm)?-\d.*\.jar""").matches(entry.name)
                }
            }.also { check(it.isNotEmpty()) { "$name is not on the class path" } }
        }.distinct().map { if (it.isDirectory) packed(it) else it.toPath() }
    }

    private fun packed(classes: File): Path {
        val archive = folder.resolve("${classes.parentFile.parentFile.name}.jar")
        JarOutputStream(Files.newOutputStream(archive)).use { jar ->
            classes.walkTopDown().filter { it.isFile }.forEach { file ->
                jar.putNextEntry(ZipEntry(file.relativeTo(classes).invariantSeparatorsPath))
                file.inputStream().use { it.copyTo(jar) }
            }
        }
        return archive
    }

    private fun run(app: Path): String {
        val process = ProcessBuilder(
            File(System.getProperty("java.home"), "bin/java").path, "-XX:TieredStopAtLevel=1",
            "-Djna.library.path=${System.getProperty("jna.library.path")}", "-cp", app.toString(),
            "dev.sotto.packaging.AppKt",
            root.resolve("core/starter/models/speech/starter.en.sotto").path,
            root.resolve("core/starter/audio/demo.flac").path,
        ).redirectErrorStream(true).start()
        val output = process.inputStream.readAllBytes().decodeToString()
        assertTrue(process.waitFor(120, TimeUnit.SECONDS))
        assertEquals(0, process.exitValue(), output)
        assertContains(output, "every function")
        return output
    }
}
