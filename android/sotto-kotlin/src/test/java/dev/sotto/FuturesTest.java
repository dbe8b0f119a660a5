package dev.sotto;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** All that Java code can reach, without a coroutine in sight. */
class FuturesTest {
    private static final File ROOT = new File(System.getProperty("sotto.root"));
    private static final File MODEL = new File(ROOT, "core/starter/models/speech/starter.en.sotto");
    private static final File DEMO = new File(ROOT, "core/starter/audio/demo.flac");

    private static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(2, TimeUnit.MINUTES);
    }

    @Test
    void aFileIsTranscribed() throws Exception {
        try (Sotto engine = new Sotto(new SottoSettings(2));
                SpeechRecognizer recognizer = get(engine.loadSpeechAsync(ModelSource.file(MODEL)))) {
            TranscriptionOptions options = TranscriptionOptions.builder()
                    .language(Language.of("en"))
                    .timestamps(TimestampDetail.Word)
                    .search(new SearchOptions(2))
                    .hotwords(List.of("umbrella"))
                    .build();
            List<Progress> progress = Collections.synchronizedList(new ArrayList<>());
            Transcript transcript = get(recognizer.transcribeAsync(
                    AudioSource.file(DEMO), options, AudioChannel.Mix, progress::add));
            assertTrue(transcript.getText().contains("airport"), transcript.getText());
            assertFalse(transcript.getSegments().get(0).getWords().isEmpty());
            assertFalse(progress.isEmpty());
            assertTrue(Subtitles.write(transcript.getSegments(), SubtitleFormat.Srt).contains("-->"));
            assertEquals("en", get(recognizer.detectLanguageAsync(AudioSource.file(DEMO))).getCode());
            assertTrue(get(engine.estimateSpeechAsync(ModelSource.file(MODEL))).getPeak() > 0);
        }
    }

    @Test
    void aSessionIsFedAndRead() throws Exception {
        short[] samples = Fixtures.INSTANCE.getSamples();
        StringBuilder text = new StringBuilder();
        try (Sotto engine = new Sotto();
                SpeechRecognizer recognizer = get(engine.loadSpeechAsync(ModelSource.file(MODEL)));
                SpeechSession session = recognizer.startSession(new SessionOptions(), new PcmFormat())) {
            session.push(samples);
            session.push(ByteBuffer.allocateDirect(640));
            session.finish();
            for (SpeechEvent event; (event = get(session.nextEventAsync())) != null; ) {
                if (event instanceof SpeechEvent.Final) {
                    text.append(event.getText().getText());
                }
            }
            assertNull(get(session.nextEventAsync()));
        }
        assertTrue(TextMetrics.normalizeEnglish(text.toString()).contains("quarter past 9"), text.toString());
    }

    @Test
    void errorsArriveInTheFuture() throws Exception {
        try (Sotto engine = new Sotto()) {
            ExecutionException failure = assertThrows(ExecutionException.class,
                    () -> get(engine.loadSpeechAsync(ModelSource.file("/nowhere"))));
            SpeechException cause = assertInstanceOf(SpeechException.InvalidModel.class, failure.getCause());
            assertEquals("invalid_model", cause.getCode());
            assertFalse(cause.getNextStep().isEmpty());
        }
    }

    @Test
    void aFutureThatIsCancelledStopsTheWork() throws Exception {
        short[] hour = new short[16_000 * 60 * 10];
        try (Sotto engine = new Sotto(new SottoSettings(1));
                SpeechRecognizer recognizer = get(engine.loadSpeechAsync(ModelSource.file(MODEL)))) {
            CompletableFuture<Transcript> future = recognizer.transcribeAsync(AudioSource.samples(hour));
            future.cancel(true);
            assertThrows(CancellationException.class, future::join);
            while (engine.models().get(0).getRunning() > 0) {
                Thread.sleep(1);
            }
        }
    }

    @Test
    void nullIsRefusedBeforeAnythingHappens() throws Exception {
        try (Sotto engine = new Sotto();
                SpeechRecognizer recognizer = get(engine.loadSpeechAsync(ModelSource.file(MODEL)));
                SpeechSession session = recognizer.startSession()) {
            assertThrows(NullPointerException.class, () -> session.push((byte[]) null));
            assertThrows(NullPointerException.class, () -> session.push((ByteBuffer) null));
            assertThrows(NullPointerException.class, () -> recognizer.transcribeAsync(null));
            assertThrows(NullPointerException.class, () -> ModelSource.file((File) null));
        }
    }
}
