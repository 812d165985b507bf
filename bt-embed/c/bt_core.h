/* bt-core for C: block-term LSTMs in integers, on Cortex-M.
 *
 *   static uint32_t memory[MODEL_SESSION_BYTES / 4]; // from model.h, as all names with MODEL
 *   bt_session *session;
 *   bt_status status = bt_session_start(model_data, MODEL_DATA_BYTES, memory, sizeof memory, &session);
 *   while (status == BT_OK) {
 *       size_t taken;
 *       status = bt_session_push_i16(session, samples, count, &taken);   // any count; the rest later
 *       if (status == BT_OK && bt_session_frame_complete(session)) status = bt_session_step(session);
 *   }
 *
 * Memory      All of it is the caller's. Nothing is allocated, and there is no global state: sessions in memory
 *             of their own are independent, over one model too. A session lies where it was started: it cannot
 *             be copied or moved. To end one, stop using it. Model and memory outlive it.
 * Threads     One session, one caller at a time. Different sessions may run in different threads.
 * Interrupts  Functions may be called from any priority. They hold values in registers of the FPU on cores that
 *             have one, so interrupts that use it must save them (the lazy stacking of Cortex-M does).
 * FPU         A library for hard floats (thumbv7em-none-eabihf, thumbv8m.main-none-eabihf) needs coprocessors 10
 *             and 11 switched on before the first call: SCB->CPACR |= 0xF << 20; then DSB and ISB. A start-up
 *             that does not gets BT_ERROR_FPU_OFF from every call, and no fault. The check reads CPACR, so
 *             calls come from privileged code.
 * Floats      No float is passed, returned or computed. The library's calling convention follows its target:
 *             …eabihf goes with -mfloat-abi=hard, …eabi with soft and softfp. The linker refuses a mixture.
 * Errors      Every function that can fail returns a bt_status; bt_status_name gives its name. A call that fails
 *             changes nothing but what it says here.
 * Bits        Scores are the same to the bit on every processor and on the host (bt-train run).
 */
#ifndef BT_CORE_H
#define BT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a session beside its arena. model.h has the sum for a model. */
#if UINTPTR_MAX > 0xFFFFFFFF
#define BT_SESSION_OVERHEAD_BYTES 768
#else
#define BT_SESSION_OVERHEAD_BYTES 384
#endif

typedef int32_t bt_status;
enum {
    BT_OK = 0,
    BT_ERROR_NULL = 1,              /* a pointer is null */
    BT_ERROR_FPU_OFF = 2,           /* set bits 20 to 23 of CPACR before the first call */
    BT_ERROR_PROCESSOR = 3,         /* this processor lacks what the library was built for (--target, --core): an FPU, too */
    BT_ERROR_NO_SESSION = 4,        /* no session, or its memory was written over or moved */
    BT_ERROR_MISALIGNED = 5,        /* models and memory at multiples of 4 (memory of 8 on 64 bits) */
    BT_ERROR_MEMORY_TOO_SMALL = 6,  /* bt_model_read says how much */
    BT_ERROR_NO_DETECTOR = 7,       /* no detector, or its memory was written over or moved */
    BT_ERROR_MODEL_TRUNCATED = 16,  /* fewer bytes than its header says */
    BT_ERROR_MODEL_MAGIC = 17,      /* not a .btm file */
    BT_ERROR_MODEL_VERSION = 18,    /* export it again with the exporter of this library */
    BT_ERROR_MODEL_DAMAGED = 19,    /* its CRC is wrong */
    BT_ERROR_MODEL_INVALID = 20,    /* its CRC is right and a field impossible; bt-train inspect names it */
    BT_ERROR_MODEL_FRONT_END = 21,  /* it takes sound, the library was built without the front end */
    BT_ERROR_MODEL_FEATURE = 22,    /* it has something else that the library was built without */
    BT_ERROR_WRONG_TYPE = 32,       /* the model takes another type: bt_model_info.input_type */
    BT_ERROR_FRAME_COMPLETE = 33,   /* a step is due before the next value */
    BT_ERROR_FRAME_INCOMPLETE = 34, /* values are missing before a step */
    BT_ERROR_WRONG_LENGTH = 35,     /* one place for each output; bt_session_saved_bytes for a state */
    BT_ERROR_NO_STEP = 36,          /* no step since the start or the reset */
    BT_ERROR_FRAME_UNDER_WAY = 37,  /* what is asked is done between frames: saving, drawing, words */
    BT_ERROR_STATE_DAMAGED = 38,    /* its CRC is wrong, or no session saves such a state */
    BT_ERROR_STATE_MISMATCH = 39,   /* the state or the detector is another model's */
    BT_ERROR_NO_LABEL = 40,         /* no such output, or it has no label */
    BT_ERROR_SELF_TEST = 41,        /* the library or the model in flash is broken */
    BT_ERROR_NOT_CLASSES = 42,      /* the model gives values or bits: nothing is detected in them */
    BT_ERROR_NO_OUTPUT = 43,        /* no such class, or no such word */
    BT_ERROR_RULE = 44,             /* the threshold or the smoothing of a rule is out of its range */
    BT_ERROR_NOT_DRAWN = 45,        /* the model draws nothing: its frames are pushed */
    BT_ERROR_NOT_PAINTED = 46,      /* the model paints no pictures */
    BT_ERROR_PICTURE_COMPLETE = 47, /* it has all its steps: a reset begins another */
    BT_ERROR_NOT_CAPTIONS = 48,     /* the model tells no captions */
    BT_ERROR_NO_PICTURE = 49,       /* no picture since the start or the reset: push one, and take its step */
    BT_ERROR_TEMPERATURE = 50,      /* 1 to 31: it is 0, or 32 and more */
    BT_ERROR_OTHER = 64,            /* a refusal that this version has no number for */
};

/* The name of a status, such as "BT_ERROR_NULL"; "?" for another number. */
const char *bt_status_name(bt_status status);

#define BT_INPUT_U8 0
#define BT_INPUT_I8 1
#define BT_INPUT_I16 2
#define BT_OUTPUT_CLASSES 0
#define BT_OUTPUT_VALUES 1
#define BT_OUTPUT_BITS 2

typedef struct {
    size_t session_bytes; /* memory for a session */
    size_t frame_values;  /* values to push for one step: the frame, or samples of sound */
    size_t outputs;       /* scores: one for each class or value */
    size_t hidden;        /* hidden units */
    int32_t input_type;   /* BT_INPUT_… */
    int32_t output_kind;  /* BT_OUTPUT_… */
    int32_t score_shift;  /* logits are scores times 2 to minus this */
    uint32_t crc;         /* CRC-32C of the file: two models are the same when it is */
} bt_model_info;

/* Checks a model, everything in it, and tells what it is. Costs a pass over its bytes. */
bt_status bt_model_read(const void *model, size_t model_bytes, bt_model_info *info);

typedef struct bt_session bt_session;

/* Checks the model and starts a session at rest in `memory`. On an error *session is null. */
bt_status bt_session_start(const void *model, size_t model_bytes, void *memory, size_t memory_bytes,
                           bt_session **session);

/* Runs the model's golden vector: whether this library computes what the exporter computed. Resets the session. */
bt_status bt_session_self_test(bt_session *session);

/* Forgets everything: no state, no values of a frame. */
bt_status bt_session_reset(bt_session *session);

/* Takes values up to the end of the frame; *taken says how many. The function of the model's type is the one. */
bt_status bt_session_push_u8(bt_session *session, const uint8_t *values, size_t count, size_t *taken);
bt_status bt_session_push_i8(bt_session *session, const int8_t *values, size_t count, size_t *taken);
bt_status bt_session_push_i16(bt_session *session, const int16_t *values, size_t count, size_t *taken);

/* Whether a step is due. False for what is no session. */
bool bt_session_frame_complete(bt_session *session);

/* Takes the step of a complete frame. How long it takes depends on the model, not on the data. */
bt_status bt_session_step(bt_session *session);

/* Ends an utterance: completes the frame under way with silence; a step is due then if there was one. Between
 * frames it does nothing. Only models that take sound have silence. */
bt_status bt_session_finish(bt_session *session);

/* Steps since the start or the reset. */
uint32_t bt_session_steps(bt_session *session);

/* One score for each output, as raw integers. `count` is the number of outputs. */
bt_status bt_session_scores(bt_session *session, int32_t *scores, size_t count);

/* The place of the largest score, the first of equals; 0 for none. */
size_t bt_argmax(const int32_t *scores, size_t count);

/* The name of an output: UTF-8 in the model, *bytes long, with no zero at its end. */
bt_status bt_session_label(bt_session *session, size_t output, const char **text, size_t *bytes);

/* The state between two frames, to go on after a power cycle. A state that is damaged or another model's is
 * refused, and the session is as before. */
size_t bt_session_saved_bytes(bt_session *session);
bt_status bt_session_save(bt_session *session, void *state, size_t bytes);
bt_status bt_session_load(bt_session *session, const void *state, size_t bytes);

/* Detections: says once when a class was heard or seen. After every step each class with a rule gets its probability,
 * the softmax over all classes, which is smoothed; of those at or above their thresholds the most probable is
 * detected, unless a detection before still holds it off. All integers, the same on every processor; `bt-train
 * detect` finds the thresholds in recordings.
 *
 *   static uint64_t place[(BT_DETECTOR_BYTES(MODEL_OUTPUTS) + 7) / 8];
 *   static const bt_rule rule = {26214, 3, 62}; // from 0.8 on, smoothed over 8 steps, then a pause of 62
 *   status = bt_detector_start(session, place, sizeof place, &detector);
 *   status = bt_detector_watch(detector, MODEL_CLASS_WAVE, &rule);
 *   ...
 *   status = bt_session_step(session);
 *   status = bt_detector_step(detector, session, scores, MODEL_OUTPUTS, &detected, &detection);
 */
typedef struct bt_detector bt_detector;

typedef struct {
    uint16_t threshold; /* smoothed probability from which on the class is detected, of 32768: 1 to 32767 */
    uint8_t smoothing;  /* over 2 to this looks, 0 (none) to 10 */
    uint16_t hold_off;  /* looks after a detection of this class in which nothing is detected */
} bt_rule;

typedef struct {
    size_t output;       /* the class */
    uint32_t step;       /* steps from the start or the reset to here, this one included */
    uint16_t confidence; /* its smoothed probability, of 32768 */
} bt_detection;

/* Memory of a detector for a model of so many outputs. */
#if UINTPTR_MAX > 0xFFFFFFFF
#define BT_DETECTOR_OVERHEAD_BYTES 64
#else
#define BT_DETECTOR_OVERHEAD_BYTES 48
#endif
#define BT_DETECTOR_BYTES(outputs) (BT_DETECTOR_OVERHEAD_BYTES + 12u * (outputs))

/* Starts a detector for the session's model, without a rule. It lies where it was started, as a session does, and
 * is independent of the session: one more that is started there looks with other rules. */
bt_status bt_detector_start(bt_session *session, void *memory, size_t memory_bytes, bt_detector **detector);

/* Looks for a class by this rule from now on; null: no longer. The rule that it has already changes nothing. */
bt_status bt_detector_watch(bt_detector *detector, size_t output, const bt_rule *rule);

/* After so many steps the session's state begins anew, with one look at the end, as for a model that was trained
 * with clips; 0, as at the start, for a state that goes on and a look at every step. */
bt_status bt_detector_set_window(bt_detector *detector, uint32_t steps);

/* Forgets probabilities, detections and steps, to be called with bt_session_reset; rules and window stay. */
bt_status bt_detector_reset(bt_detector *detector);

/* To be called after every bt_session_step: takes the scores, looks at them, and says whether something was
 * detected. `detection` is written when it was. */
bt_status bt_detector_step(bt_detector *detector, bt_session *session, int32_t *scores, size_t count,
                           bool *detected, bt_detection *detection);

/* Pictures. A model that draws gives frames by itself: each step is taken on what it drew before (bits, 0 or 1), or on
 * random values, which paint a picture in so many steps. What is drawn is told by a seed and a number, and is the same
 * on every processor and on the host (bt-train generate):
 *
 *   bt_random random;
 *   bt_random_start(&random, 7, 0);    // picture 0 of seed 7
 *   bt_session_reset(session);
 *   for (uint32_t step = 0; status == BT_OK && step < MODEL_PICTURE_STEPS; step++)
 *       status = bt_session_paint(session, &random);
 *   if (status == BT_OK) status = bt_session_pixels(session, 0, pixels, MODEL_OUTPUTS);
 */

/* A source of random numbers (PCG32). It may be copied: the copy goes on with the same numbers. */
typedef struct {
    uint64_t place[2];
} bt_random;

/* Begins the numbers of picture or caption `number` of a seed. */
bt_status bt_random_start(bt_random *random, uint64_t seed, uint64_t number);

/* A picture of a model that paints: rows * columns pixels, as many as it has outputs. */
typedef struct {
    uint32_t steps;
    size_t rows;
    size_t columns;
} bt_picture;

/* What the session's model paints. */
bt_status bt_session_picture(bt_session *session, bt_picture *picture);

/* Takes the next step of a picture. */
bt_status bt_session_paint(bt_session *session, bt_random *random);

/* The picture as it stands, greys of 0 to 255 row by row: `count` pixels from `first` on. Each costs a pass over a row
 * of the head's weights. */
bt_status bt_session_pixels(bt_session *session, size_t first, uint8_t *pixels, size_t count);

/* Takes a step of a model that draws its next frame, on the bits in `frame`, those of the call before, and leaves the
 * bits drawn in their place, one a byte; the first step after a reset is taken on zeros. Of a model that paints: a step,
 * and the picture as it stands. `count` is the number of outputs. */
bt_status bt_session_draw(bt_session *session, bt_random *random, uint8_t *frame, size_t count);

/* Captions of pictures. The picture is pushed and its step taken, as a frame of other models; then words come:
 *
 *   for (size_t told = 0; status == BT_OK && told < bt_session_caption_words(session); told++) {
 *       size_t word;
 *       status = bt_session_next_word(session, NULL, 0, scores, MODEL_OUTPUTS, &word);
 *       if (status != BT_OK || word == BT_WORD_END) break;
 *       puts(model_labels[word]);
 *       status = bt_session_step_word(session, word);
 *   }
 */

/* The word that ends a caption. */
#define BT_WORD_END 0

/* Most words of a caption; 0 for a model that tells none, and for what is no session. */
size_t bt_session_caption_words(bt_session *session);

/* Chooses the next word, an output of the model, by the scores of the last step, which it leaves in `scores`, one for
 * each output: at `temperature` 0 the likeliest, and `random` may be null; else one that is drawn, in 256ths: 256 by the
 * model's own probabilities, less keeps to likely words (32 at least). */
bt_status bt_session_next_word(bt_session *session, bt_random *random, uint16_t temperature, int32_t *scores,
                               size_t count, size_t *word);

/* Takes a step on a word of the caption. */
bt_status bt_session_step_word(bt_session *session, size_t word);

/* Begins another caption of the same picture, with a step. */
bt_status bt_session_begin_caption(bt_session *session);

#ifdef __cplusplus
}
#endif

#endif
