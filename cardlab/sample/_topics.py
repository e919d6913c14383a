"""The themes of the synthetic corpus: task, library, model types, words and tags of a topic.

A topic is one planted cluster: its cards share a vocabulary, a community of free tags, a taste
in licences and a centre among the embeddings. Twelve are written out; more are made of invented
words, so that any number of topics can be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from ._draw import invented_words


@dataclass(frozen=True)
class Topic:
    """One planted theme. `licenses` multiplies the weight of a licence named in it."""

    task: str
    library: str
    model_types: tuple[str, ...]
    tags: tuple[str, ...]
    datasets: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]
    licenses: dict[str, float]
    language_share: float


def _topic(
    task: str,
    library: str,
    model_types: str,
    *,
    tags: str,
    datasets: str,
    nouns: str,
    verbs: str,
    adjectives: str,
    licenses: dict[str, float] | None = None,
    language_share: float = 0.5,
) -> Topic:
    """Make a topic of blank-separated words, which keeps the tables below readable."""
    return Topic(
        task,
        library,
        tuple(model_types.split()),
        tuple(tags.split()),
        tuple(datasets.split()),
        tuple(nouns.split()),
        tuple(verbs.split()),
        tuple(adjectives.split()),
        licenses or {},
        language_share,
    )


WRITTEN_TOPICS: tuple[Topic, ...] = (
    _topic(
        "text-generation",
        "transformers",
        "llama mistral qwen2 gemma2 phi3",
        tags="chat instruct roleplay mergekit dpo code-assistant long-context function-calling "
        "storytelling merge-recipe",
        datasets="openchat/dialogue-mix instruct-pairs tale-corpus code-snippets-small",
        nouns="prompt completion dialogue instruction reply persona story assistant turn context "
        "sampler temperature preference chatbot conversation storyline merge adapter quantization",
        verbs="answers continues improvises summarises refuses role-plays drafts rewrites",
        adjectives="chatty instructed aligned creative verbose quantized uncensored concise",
        licenses={"llama2": 5, "llama3": 6, "gemma": 5, "cc-by-nc-4.0": 2.5, "apache-2.0": 0.8},
    ),
    _topic(
        "text-to-image",
        "diffusers",
        "stable-diffusion stable-diffusion-xl flux",
        tags="lora dreambooth anime photorealism controlnet inpainting concept-art pixel-art "
        "character-style checkpoint-mix",
        datasets="sketchbook/captioned-art poster-captions studio-photos",
        nouns="picture brush palette canvas portrait landscape lighting denoiser sampler-step "
        "guidance caption style texture silhouette background render watercolour composition",
        verbs="paints renders denoises stylises colours upscales sketches composes",
        adjectives="painterly photographic cinematic vivid pastel hand-drawn illustrated glossy",
        licenses={"creativeml-openrail-m": 14, "openrail": 4, "apache-2.0": 0.3, "mit": 0.4},
        language_share=0.3,
    ),
    _topic(
        "text-classification",
        "transformers",
        "bert roberta distilbert deberta-v2",
        tags="sentiment toxicity hate-speech emotion topic-labels spam intent-detection "
        "stance polarity news-categories",
        datasets="review-stars mood-tweets headlines-12 inbox-spam",
        nouns="label sentiment class review tweet headline polarity annotator threshold softmax "
        "opinion category complaint emotion moderation intent confusion-matrix",
        verbs="classifies labels flags scores sorts rejects detects weighs",
        adjectives="positive negative neutral toxic balanced multi-label subjective sarcastic",
    ),
    _topic(
        "reinforcement-learning",
        "stable-baselines3",
        "ppo dqn a2c",
        tags="deep-reinforcement-learning ml-agents gridworld cartpole atari-style q-learning "
        "policy-gradient lander-task curriculum self-play",
        datasets="rollout-archive/replays gridworld-traces",
        nouns="agent reward episode policy environment rollout action observation simulator "
        "trajectory checkpoint exploration discount critic return lander arena",
        verbs="explores lands steers jumps collects maximises crashes replays",
        adjectives="episodic greedy stochastic off-policy deterministic sparse rewarded idle",
        licenses={"mit": 2, "apache-2.0": 0.6},
        language_share=0.05,
    ),
    _topic(
        "automatic-speech-recognition",
        "transformers",
        "whisper wav2vec2 hubert",
        tags="speech asr ctc accent-robust broadcast-audio telephone speech-leaderboard "
        "low-resource-speech streaming-asr diarization",
        datasets="spoken-commons parliament-audio radio-hours read-aloud",
        nouns="audio transcript waveform speaker utterance phoneme microphone recording dialect "
        "spectrogram noise silence beam decoder accent syllable word-error-rate",
        verbs="transcribes decodes listens segments aligns resamples hears mishears",
        adjectives="spoken noisy accented sampled acoustic mono fluent clipped",
        language_share=0.85,
    ),
    _topic(
        "image-classification",
        "timm",
        "vit resnet swin convnext",
        tags="vision image-recognition plant-disease satellite fine-grained medical-imaging "
        "food-photos distilled-vision patch-based transfer-learning",
        datasets="leafbook-20 tiles-from-above plate-photos thousand-things",
        nouns="image pixel patch backbone crop augmentation class-token convolution resolution "
        "leaf satellite-tile camera lens scan top-1 layer-scale stem",
        verbs="recognises crops resizes pools flips normalises distinguishes sees",
        adjectives="convolutional blurred high-resolution rotated pretrained grainy square visual",
        language_share=0.12,
    ),
    _topic(
        "sentence-similarity",
        "sentence-transformers",
        "mpnet xlm-roberta nomic-bert",
        tags="semantic-search dense-retrieval paraphrase reranking matryoshka "
        "cross-lingual-retrieval contrastive faq-matching dual-encoder hard-negatives",
        datasets="duplicate-questions paired-captions web-pairs forum-titles",
        nouns="vector query passage cosine neighbour retriever pooling anchor pair corpus-index "
        "ranking distance triplet margin recall search-engine duplicate",
        verbs="retrieves ranks encodes matches pools compares indexes pulls",
        adjectives="dense semantic bi-encoded similar nearest normalised paraphrased asymmetric",
    ),
    _topic(
        "token-classification",
        "flair",
        "electra camembert bert-ner",
        tags="ner named-entities part-of-speech clinical-notes legal-entities pii chunking "
        "biomedical-terms gazetteer sequence-labelling",
        datasets="news-entities ward-notes court-rulings",
        nouns="entity span mention surname disease gene location organisation tagger token "
        "bio-scheme boundary annotation patient statute drug gazetteer-entry",
        verbs="extracts marks spans anonymises links tags redacts bounds",
        adjectives="nested clinical biomedical legal named entity-level anonymised rare",
    ),
    _topic(
        "translation",
        "transformers",
        "marian m2m_100 t5",
        tags="machine-translation back-translation parallel-corpus subtitles low-resource-pairs "
        "bleu-scored pivot-language dialect-pairs document-translation transliteration",
        datasets="subtitle-pairs treaty-bitext village-phrases",
        nouns="source target bitext translator subtitle phrase alignment sentence-pair script "
        "glossary idiom interpreter bleu chrf inflection morphology pivot",
        verbs="translates transliterates renders-into glosses back-translates adapts inflects "
        "localises",
        adjectives="bilingual parallel literal idiomatic translated foreign low-resource formal",
        licenses={"cc-by-4.0": 6},
        language_share=0.95,
    ),
    _topic(
        "question-answering",
        "adapter-transformers",
        "longformer albert squeezebert",
        tags="extractive-qa reading-comprehension open-domain-qa trivia exam-questions "
        "knowledge-base-qa multi-hop answer-spans unanswerable textbook",
        datasets="pub-quiz-9k textbook-answers encyclopedia-spans",
        nouns="question answer paragraph evidence reader quiz encyclopedia trivia exam hop "
        "exact-match wikipedia-page hypothesis fact candidate clue",
        verbs="asks replies-with cites points-to infers deduces verifies abstains",
        adjectives="factual extractive answerable unanswerable curious supported ambiguous brief",
    ),
    _topic(
        "object-detection",
        "ultralytics",
        "yolos detr rtdetr",
        tags="bounding-boxes pedestrian traffic-camera drone-view license-plates "
        "helmet-detection table-detection real-time-vision anchor-free small-objects",
        datasets="crossroads-cam drone-fields warehouse-shelves",
        nouns="box detector overlap pedestrian vehicle drone intersection video frame-rate anchor "
        "bounding-box tracker street helmet shelf camera-feed mean-average-precision",
        verbs="detects locates tracks counts suppresses frames misses boxes",
        adjectives="occluded overlapping tiny real-time aerial crowded moving rectangular",
        licenses={"gpl-3.0": 12, "mit": 1.2},
        language_share=0.05,
    ),
    _topic(
        "text-to-speech",
        "espnet",
        "vits speecht5 bark",
        tags="voice-cloning vocoder prosody audiobook expressive-speech multi-speaker "
        "grapheme-to-phoneme singing-voice low-latency-tts voice-assistant",
        datasets="narrator-hours studio-voices nursery-rhymes",
        nouns="voice vocoder pitch intonation narrator audiobook duration mel stress rhythm "
        "pronunciation lexicon timbre breath singer listener opinion-score",
        verbs="speaks synthesises intones pronounces whispers sings narrates pauses",
        adjectives="expressive synthetic robotic natural-sounding breathy melodic monotone warm",
        licenses={"cc-by-nc-4.0": 3},
        language_share=0.7,
    ),
)

_MORE_TASKS = (
    ("summarization", "transformers"),
    ("fill-mask", "transformers"),
    ("image-segmentation", "transformers"),
    ("tabular-classification", "sklearn"),
    ("audio-classification", "speechbrain"),
    ("zero-shot-classification", "transformers"),
    ("image-to-text", "transformers"),
    ("video-classification", "transformers"),
    ("depth-estimation", "transformers"),
    ("text2text-generation", "transformers"),
    ("feature-extraction", "sentence-transformers"),
    ("unconditional-image-generation", "diffusers"),
)


def topics(n_topics: int) -> tuple[Topic, ...]:
    """Return the first `n_topics` themes; beyond the written ones, of invented words."""
    made = [_made_topic(i) for i in range(max(0, n_topics - len(WRITTEN_TOPICS)))]
    return (*WRITTEN_TOPICS[:n_topics], *made)


def _made_topic(index: int) -> Topic:
    task, library = _MORE_TASKS[index % len(_MORE_TASKS)]
    # Two syllables more than a background tag has, so that no word can be one.
    words = invented_words(60 * index, 60, n_syllables=5)
    return Topic(
        task=task,
        library=library,
        model_types=tuple(words[:3]),
        tags=tuple(words[3:13]),
        datasets=tuple(f"{word}-set" for word in words[13:16]),
        nouns=tuple(words[16:36]),
        verbs=tuple(f"{word}s" for word in words[36:46]),
        adjectives=tuple(words[46:58]),
        licenses={},
        language_share=0.5,
    )
