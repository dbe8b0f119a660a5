"""Everything that is not speech: generated noises, and music of free samples. Each sound has unit power.

Generated: coloured noise, hum, engines, wind, rain, water, fans, clicks, typing, knocks, dishes and other struck
things, rustling, squeaks, steps and machines with a beat, breathing, birds, alarms, telephone tones, drones. `Music`
renders random pieces with fluidsynth and the FluidR3 sound font (MIT) and takes loops and drums from Sonic Pi's samples
(CC0).
"""

import pathlib
import struct
import subprocess
import tempfile

import numpy as np
import soundfile
from scipy.signal import butter, lfilter, resample_poly, sosfilt

RATE = 16_000

# General MIDI programs that imitate voices.
VOICES = {52, 53, 54, 85, 91}
SONIC_PI = pathlib.Path("/usr/share/sonic-pi/samples")
# Voices, or near them.
NOT_FROM_SONIC_PI = ("ambi_choir", "ambi_haunted_hum", "misc_burp", "misc_crow", "loop_weirdo", "vinyl_rewind")


def unit(sound: np.ndarray) -> np.ndarray:
    return sound / (np.sqrt(np.mean(sound**2)) + 1e-9)


def coloured(rng, length, slope):
    """Noise whose power falls with frequency^slope: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.maximum(np.arange(len(spectrum)), 20 * length / RATE)
    return unit(np.fft.irfft(spectrum / frequency ** (slope / 2), length))


def curve(rng, length, per_second, low, high, power=1.0):
    """A wandering value, with `per_second` turns."""
    points = low + (high - low) * rng.random(max(3, int(length / RATE * per_second) + 2)) ** power
    return np.interp(np.linspace(0, len(points) - 1, length), np.arange(len(points)), points)


def band(rng, sound, low=None, high=None, order=2):
    if low and high:
        return sosfilt(butter(order, [low, min(high, 7900)], "band", fs=RATE, output="sos"), sound)
    kind, edge = ("low", high) if high else ("high", low)
    return sosfilt(butter(order, min(edge, 7900), kind, fs=RATE, output="sos"), sound)


def stationary(rng, length):
    sound = coloured(rng, length, rng.uniform(-0.7, 2.4))
    if rng.random() < 0.4:
        low = 10 ** rng.uniform(1.8, 3.4)
        sound = band(rng, sound, low, low * rng.uniform(1.5, 8), order=int(rng.integers(1, 4)))
    return sound


def swelling(rng, length):
    """Wind, surf, traffic: noise that comes and goes."""
    return stationary(rng, length) * curve(rng, length, rng.uniform(0.2, 6), 0.02, 1.0, rng.uniform(0.5, 3))


def gated(rng, length):
    """Noise that is switched on and off as syllables are: only its spectrum tells that nobody speaks."""
    out, at = 0.01 * rng.standard_normal(length), 0
    colour = rng.uniform(-0.5, 2.2)
    while at < length:
        size = int(rng.uniform(0.04, 0.6) * RATE)
        burst = coloured(rng, size + 64, colour + rng.uniform(-0.5, 0.5))[:size] * np.hanning(size) ** rng.uniform(
            0.1, 1
        )
        out[at : at + size] += (rng.uniform(0.2, 1) * burst)[: length - at]
        at += size + int(rng.exponential(rng.choice([0.05, 0.3, 1.0])) * RATE)
    return out


def harmonics(rng, base, length, count, fall):
    """Harmonics of the frequency track `base`."""
    phase = 2 * np.pi * np.cumsum(base) / RATE
    top = base.max()
    out = np.zeros(length)
    for k in range(1, count + 1):
        if k * top < 7500:
            out += rng.uniform(0.1, 1) / k**fall * np.sin(k * phase + rng.uniform(0, 6.28))
    return out


def hum(rng, length):
    base = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(70, 400)])
    track = base * curve(rng, length, 1, 0.998, 1.002)
    return unit(harmonics(rng, track, length, int(rng.integers(2, 25)), rng.uniform(0.3, 1.8))) + rng.uniform(
        0.02, 1.0
    ) * coloured(rng, length, rng.uniform(0, 2))


def engine(rng, length):
    """A motor: a low train of pulses that speeds up and slows down, through a resonating body."""
    track = rng.uniform(15, 180) * curve(rng, length, rng.uniform(0.1, 1.5), 0.7, 1.4)
    sound = unit(harmonics(rng, track, length, 20, rng.uniform(0.2, 1.2)))
    sound += (
        rng.uniform(0.1, 1)
        * coloured(rng, length, rng.uniform(0.5, 2))
        * (1 + np.sin(2 * np.pi * np.cumsum(track) / RATE))
    )
    for _ in range(int(rng.integers(0, 3))):
        sound = sound + rng.uniform(0.5, 3) * resonance(sound, rng.uniform(100, 3000), rng.uniform(40, 500))
    return sound


def resonance(sound, hertz, width):
    radius = np.exp(-np.pi * width / RATE)
    return lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], sound)


def struck(rng, size, metal):
    """One blow on something: inharmonic modes that die away; metal and glass ring, wood and plastic do not."""
    time = np.arange(size) / RATE
    out = np.zeros(size)
    base = 10 ** rng.uniform(2.0, 3.5)
    for _ in range(int(rng.integers(2, 14))):
        hertz = base * rng.uniform(0.5, 6)
        if hertz < 7800:
            decay = rng.uniform(0.03, 0.6) if metal else rng.uniform(0.004, 0.05)
            out += rng.uniform(0.1, 1) * np.exp(-time / decay) * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6.28))
    click = rng.standard_normal(size) * np.exp(-time / rng.uniform(0.001, 0.012))
    return out / (np.abs(out).max() + 1e-9) + rng.uniform(0, 1.5) * click


def scatter(rng, length, per_second, make, floor=0.01):
    """Events at random moments."""
    out = floor * rng.standard_normal(length)
    for _ in range(rng.poisson(length / RATE * per_second) + 1):
        event = make() * 10 ** rng.uniform(-1.5, 0)
        at = int(rng.integers(0, length))
        stretch = out[at : at + len(event)]
        stretch += event[: len(stretch)]
    return out


def dishes(rng, length):
    metal = rng.random() < 0.7
    sound = unit(
        scatter(
            rng, length, 10 ** rng.uniform(-0.3, 1.0), lambda: struck(rng, int(rng.uniform(0.1, 0.9) * RATE), metal)
        )
    )
    if rng.random() < 0.5:
        sound = sound + rng.uniform(0.05, 0.8) * unit(water(rng, length))
    return sound


def typing(rng, length):
    def key():
        return struck(rng, int(0.06 * RATE), False)

    return scatter(rng, length, rng.uniform(2, 12), key, floor=10 ** rng.uniform(-3, -1))


def clicks(rng, length):
    def click():
        size = int(rng.uniform(0.0005, 0.02) * RATE) + 2
        return rng.standard_normal(size) * np.exp(-np.arange(size) / (size * 0.3))

    return scatter(rng, length, 10 ** rng.uniform(0, 2), click, floor=10 ** rng.uniform(-3, -1))


def water(rng, length):
    """Running water or rain: noise with many small bubbles, each a short rising tone."""

    def bubble():
        size = int(rng.uniform(0.005, 0.06) * RATE)
        time = np.arange(size) / RATE
        hertz = rng.uniform(400, 4500)
        return np.exp(-time * rng.uniform(50, 300)) * np.sin(2 * np.pi * hertz * (time + rng.uniform(0, 4) * time**2))

    bubbles = unit(scatter(rng, length, rng.uniform(10, 120), bubble))
    return bubbles * rng.uniform(0.1, 1) + coloured(rng, length, rng.uniform(-0.5, 1)) * curve(rng, length, 3, 0.4, 1)


def rustle(rng, length):
    """Paper, bags, clothes, footsteps in gravel: crackling noise in gusts."""
    crackle = rng.standard_normal(length) * (rng.random(length) < 10 ** rng.uniform(-2.5, -0.5))
    crackle = band(rng, crackle, low=rng.uniform(300, 2500), order=1)
    return crackle * curve(rng, length, rng.uniform(1, 10), 0.0, 1.0, 3)


def beat(rng, length):
    """A machine with a beat: the same thing again and again, as of a printer, a bicycle trainer, steps, a washing
    machine.
    """
    size = int(rng.uniform(0.05, 0.5) * RATE)
    kind = rng.integers(3)
    if kind == 0:
        thing = coloured(rng, size + 64, rng.uniform(0, 2))[:size] * np.hanning(size)
    elif kind == 1:
        thing = struck(rng, size, rng.random() < 0.4)
    else:
        thing = squeak(rng, size)
    period, out, at = rng.uniform(0.12, 1.6) * RATE, 0.02 * coloured(rng, length, 1), 0.0
    while at < length:
        stretch = out[int(at) : int(at) + size]
        stretch += rng.uniform(0.5, 1) * thing[: len(stretch)]
        at += max(400, period * rng.uniform(0.93, 1.07))
    return out + rng.uniform(0, 0.5) * stationary(rng, length)


def squeak(rng, size):
    """A door, a chair, a brake: a gliding tone with few harmonics."""
    start = 10 ** rng.uniform(2.4, 3.5)
    track = start * np.linspace(1, rng.uniform(0.6, 1.8), size) * curve(rng, size, 20, 0.95, 1.05)
    return harmonics(rng, track, size, int(rng.integers(1, 8)), rng.uniform(0.3, 1.5)) * np.hanning(size) ** 0.5


def squeaks(rng, length):
    return scatter(rng, length, rng.uniform(0.3, 3), lambda: squeak(rng, int(rng.uniform(0.05, 0.8) * RATE)))


def birds(rng, length):
    def chirp():
        size = int(rng.uniform(0.03, 0.25) * RATE)
        track = rng.uniform(1500, 6000) * (
            1 + rng.uniform(-0.4, 0.4) * np.sin(np.linspace(0, rng.uniform(1, 30), size))
        )
        return np.sin(2 * np.pi * np.cumsum(track) / RATE) * np.hanning(size)

    return scatter(rng, length, rng.uniform(1, 8), chirp, floor=10 ** rng.uniform(-2.5, -1))


def breathing(rng, length):
    period = rng.uniform(1.2, 5)
    phase = (np.arange(length) / RATE / period + rng.random()) % 1
    envelope = (
        np.maximum(0, np.sin(2 * np.pi * phase)) ** 1.5
        + rng.uniform(0.3, 1) * np.maximum(0, -np.sin(2 * np.pi * phase)) ** 1.5
    )
    return band(rng, rng.standard_normal(length), rng.uniform(200, 800), rng.uniform(1500, 6000), 1) * envelope


def tones(rng, length):
    """Telephones, alarms, sirens: tones on and off, pairs of tones, tones that glide."""
    time = np.arange(length) / RATE
    kind = rng.integers(4)
    if kind == 0:  # dialling
        out = np.zeros(length)
        for at in range(0, length, int(rng.uniform(0.12, 0.5) * RATE)):
            size = int(rng.uniform(0.06, 0.3) * RATE)
            pair = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
            part = time[at : at + size]
            out[at : at + size] += sum(np.sin(2 * np.pi * hertz * part) for hertz in pair)
    elif kind == 1:  # ringing, beeping
        hertz, period = 10 ** rng.uniform(2.5, 3.6), rng.uniform(0.1, 5)
        out = np.sin(2 * np.pi * hertz * time) + rng.random() * np.sin(
            2 * np.pi * hertz * rng.choice([1.1, 1.5, 2, 3]) * time
        )
        out = out * ((time / period) % 1 < rng.uniform(0.2, 0.8)) * (1 + rng.random() * np.sin(2 * np.pi * 25 * time))
    elif kind == 2:  # siren
        track = rng.uniform(400, 1200) * (1 + rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * time / rng.uniform(0.3, 6)))
        out = harmonics(rng, track, length, int(rng.integers(1, 8)), rng.uniform(0.5, 2))
    else:  # a drone with vibrato, as of an instrument that holds a note
        track = rng.uniform(80, 900) * (1 + 0.01 * np.sin(2 * np.pi * rng.uniform(3, 8) * time))
        out = harmonics(rng, track, length, 20, rng.uniform(0.3, 1.5)) * curve(rng, length, rng.uniform(0.2, 4), 0.1, 1)
    return unit(out) + 10 ** rng.uniform(-3, -0.7) * rng.standard_normal(length)


def notes(rng, length):
    """Plucked and blown notes, one after the other: voiced, at the pace of syllables, but no vocal tract that moves."""
    out, at = 0.005 * rng.standard_normal(length), 0
    fall, count = rng.uniform(0.3, 2), int(rng.integers(1, 25))
    while at < length:
        size = int(rng.uniform(0.06, 0.8) * RATE)
        track = np.full(size, 55 * 2 ** (rng.integers(6, 48) / 12)) * curve(rng, size, 10, 0.995, 1.005)
        shape = np.exp(-np.arange(size) / RATE / rng.uniform(0.05, 1)) * np.minimum(
            1, np.arange(size) / (rng.uniform(0.002, 0.05) * RATE)
        )
        out[at : at + size] += (harmonics(rng, track, size, count, fall) * shape)[: length - at]
        at += int(size * rng.uniform(0.3, 1.2)) + int(rng.random() < 0.2) * RATE // 4
    return out


def knocks(rng, length):
    return scatter(
        rng, length, 10 ** rng.uniform(-0.5, 0.7), lambda: struck(rng, int(rng.uniform(0.05, 0.4) * RATE), False)
    )


def passing(rng, length):
    """Vehicles that come and go, motors that run up, drones that swell: harmonics, or noise, through resonances that
    stay.
    """
    out, at = 10 ** rng.uniform(-4, -1.5) * coloured(rng, length, 1), int(rng.exponential(0.4) * RATE)
    while at < length:
        size = int(rng.uniform(0.5, 5) * RATE)
        track = (
            10 ** rng.uniform(1.7, 2.6) * np.linspace(1, rng.uniform(0.7, 1.4), size) * curve(rng, size, 4, 0.97, 1.03)
        )
        sound = unit(harmonics(rng, track, size, int(rng.integers(3, 20)), rng.uniform(0.1, 1.5)))
        sound = sound * rng.choice([1, 1, 0.2]) + rng.uniform(0, 0.7) * coloured(rng, size, rng.uniform(0, 2))
        for _ in range(int(rng.integers(0, 5))):
            sound = sound + rng.uniform(0.5, 4) * resonance(sound, 10 ** rng.uniform(2.3, 3.6), rng.uniform(40, 500))
        top, rise, fall = rng.uniform(0.05, 0.95), rng.uniform(3, 50), rng.uniform(3, 50)
        decibels = np.interp(np.arange(size) / size, [0, top, 1], [-rise, 0, -fall])
        shake = 1 + rng.uniform(0, 0.9) * rng.integers(0, 2) * np.sin(
            2 * np.pi * rng.uniform(2, 30) * np.arange(size) / RATE
        )
        edge = np.minimum(1, np.minimum(np.arange(size), np.arange(size)[::-1]) / 800)
        out[at : at + size] += (unit(sound) * 10 ** (decibels / 20) * shake * edge)[: length - at]
        at += int(size * rng.uniform(0.5, 1)) + int(rng.exponential(rng.choice([0.2, 2.0])) * RATE)
    return out


def starting(rng, length):
    """A household motor that is switched on: its hum climbs to a pitch and stays, air and rumble grow with it."""
    at = int(rng.exponential(0.3) * RATE) if rng.random() < 0.6 else int(rng.uniform(0, 5) * RATE)
    size = max(length - at, RATE)
    run_up, end = rng.uniform(0.3, 3), 10 ** rng.uniform(2.1, 2.8)
    time = np.arange(size) / RATE
    grown = 1 - np.exp(-time / run_up) if rng.random() < 0.5 else np.minimum(1, time / run_up / 2)
    track = end * (rng.uniform(0.2, 0.8) * (1 - grown) + grown) * curve(rng, size, 3, 0.99, 1.01)
    hum_of_it = unit(harmonics(rng, track, size, int(rng.integers(2, 16)), rng.uniform(0.3, 2)))
    centre = 10 ** rng.uniform(2.8, 3.75)
    air = unit(band(rng, rng.standard_normal(size), centre / rng.uniform(1.1, 2), centre * rng.uniform(1.1, 2)))
    rumble = unit(band(rng, rng.standard_normal(size), high=rng.uniform(40, 120)))
    rise = rng.uniform(10, 50)
    parts = rng.uniform(0.1, 1) * hum_of_it + rng.uniform(0.05, 1.2) * air * grown + rng.uniform(0, 1) * rumble
    parts = parts + rng.uniform(0, 0.5) * coloured(rng, size, rng.uniform(0, 2)) * grown
    out = 10 ** rng.uniform(-4, -2) * coloured(rng, length, 1)
    if at < length:
        out[at:] += (unit(parts) * 10 ** ((grown - 1) * rise / 20) * np.minimum(1, time / 0.02))[: length - at]
    if rng.random() < 0.3:
        out = out + rng.uniform(0.02, 0.3) * dishes(rng, length)
    return out


KINDS = [
    (stationary, 3), (swelling, 3), (gated, 2), (hum, 2), (engine, 2),
        (dishes, 3), (typing, 1), (clicks, 1), (water, 2),
    (rustle, 1.5), (beat, 2.5), (squeaks, 1), (birds, 1), (breathing, 1), (tones, 1.5), (notes, 1.5), (knocks, 1.5),
]  # fmt: skip


class Music:
    """Random pieces, rendered once, and Sonic Pi's samples."""

    def __init__(self, rng, pieces, seconds=24):
        self.pieces = [render(midi(rng, seconds)) for _ in range(pieces)]
        self.samples = []
        for path in sorted(SONIC_PI.glob("*.flac")):
            if not path.stem.startswith(NOT_FROM_SONIC_PI):
                samples, rate = soundfile.read(path, always_2d=True)
                samples = samples.mean(axis=1)
                self.samples.append(resample_poly(samples, RATE // (g := np.gcd(RATE, rate)), rate // g))

    def piece(self, rng, length):
        sound = self.pieces[rng.integers(len(self.pieces))]
        sound = np.tile(sound, length // len(sound) + 2)
        at = rng.integers(0, len(sound) - length)
        return sound[at : at + length]

    def loops(self, rng, length):
        out = 1e-4 * rng.standard_normal(length)
        for _ in range(int(rng.integers(1, 4))):
            sample = self.samples[rng.integers(len(self.samples))]
            gap = int(rng.uniform(0, 1.0) * RATE * (rng.random() < 0.6))
            at = int(rng.uniform(0, 1) * RATE)
            while at < length:
                stretch = out[at : at + len(sample)]
                stretch += rng.uniform(0.3, 1) * sample[: len(stretch)]
                at += len(sample) + gap + 160
        return out


def midi(rng, seconds) -> bytes:
    """A file of up to four instruments and drums that play random chords and tunes of one scale."""
    scale = rng.choice([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 3, 5, 7, 10, 12, 15]], axis=0)
    key, beat_ticks, events = int(rng.integers(0, 12)), 480, []
    ticks = int(seconds * 2 * beat_ticks)
    for channel in range(int(rng.integers(1, 5))):
        program = int(rng.choice([p for p in range(112) if p not in VOICES]))
        events.append((0, bytes([0xC0 | channel, program])))
        chords, pace, octave, at = rng.random() < 0.4, rng.choice([120, 240, 480, 960]), int(rng.integers(3, 6)), 0
        while at < ticks:
            held = int(pace * rng.uniform(0.4, 1.5))
            if rng.random() < 0.85:
                degree = int(rng.integers(0, 7))
                for third in range(3 if chords else 1):
                    note = 12 * octave + key + int(scale[(degree + 2 * third) % 7])
                    events.append((at, bytes([0x90 | channel, note, int(rng.integers(50, 120))])))
                    events.append((at + held, bytes([0x80 | channel, note, 0])))
            at += int(pace * rng.choice([1, 1, 1, 2, 0.5]))
    if rng.random() < 0.5:
        for at in range(0, ticks, 240):
            if rng.random() < 0.7:
                events.append(
                    (at, bytes([0x99, int(rng.choice([35, 36, 38, 42, 46, 49, 54])), int(rng.integers(40, 120))]))
                )
    track, last = b"", 0
    for at, event in sorted(events):
        delta, last = at - last, at
        track += bytes([0x80 | delta >> 14 & 0x7F, 0x80 | delta >> 7 & 0x7F, delta & 0x7F]) + event
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, beat_ticks) + b"MTrk" + struct.pack(">I", len(track)) + track


def render(file: bytes, font="/usr/share/sounds/sf2/FluidR3_GM.sf2") -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".mid") as source, tempfile.NamedTemporaryFile(suffix=".wav") as target:
        pathlib.Path(source.name).write_bytes(file)
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE), "-F", target.name, "-T", "wav", font, source.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return unit(soundfile.read(target.name)[0].mean(axis=1))


# For further scenes: what the first ones left to learn.
FURTHER = [
    (passing, 16),
    (engine, 3),
    (hum, 2),
    (tones, 2),
    (squeaks, 2),
    (beat, 2),
    (dishes, 2),
    (notes, 2),
    (stationary, 2),
]

STARTING = [(starting, 8), (passing, 3), (engine, 1), (squeaks, 1), (knocks, 1), (rustle, 1)]
CHOICES = {"first": KINDS, "further": FURTHER, "starting": STARTING}


def sound(rng, length, music: Music, kinds=KINDS) -> np.ndarray:
    """One sound of unit power."""
    if rng.random() < 0.22:
        return unit(music.piece(rng, length) if rng.random() < 0.6 else music.loops(rng, length))
    weights = np.array([weight for _, weight in kinds])
    return unit(kinds[rng.choice(len(kinds), p=weights / weights.sum())][0](rng, length))
