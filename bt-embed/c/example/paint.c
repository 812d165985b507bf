/* Paints pictures of seed 7: each byte that comes over the UART is the number of one, whose rows go back as lines of
 * greys from 0 to 255. */
#include "board.h"
#include "bt_core.h"
#include "model.h"
#include "text.h"

static uint32_t memory[MODEL_SESSION_BYTES / 4];

static bt_status paint(bt_session *session, uint64_t number) {
    bt_random random;
    bt_status status = bt_random_start(&random, 7, number);
    if (status == BT_OK) status = bt_session_reset(session);
    for (uint32_t step = 0; status == BT_OK && step < MODEL_PICTURE_STEPS; step++)
        status = bt_session_paint(session, &random);
    for (size_t row = 0; status == BT_OK && row < MODEL_PICTURE_ROWS; row++) {
        uint8_t greys[MODEL_PICTURE_COLUMNS];
        status = bt_session_pixels(session, row * MODEL_PICTURE_COLUMNS, greys, MODEL_PICTURE_COLUMNS);
        for (size_t column = 0; status == BT_OK && column < MODEL_PICTURE_COLUMNS; column++) {
            write_number(greys[column]);
            write_text(column + 1 < MODEL_PICTURE_COLUMNS ? " " : "\n");
        }
    }
    return status;
}

int main(void) {
    bt_session *session;
    bt_status status = bt_session_start(model_data, MODEL_DATA_BYTES, memory, sizeof memory, &session);
    if (status == BT_OK) status = bt_session_self_test(session);
    if (status == BT_OK) write_text("ready\n");
    while (status == BT_OK) status = paint(session, board_read());
    write_text("error: ");
    write_text(bt_status_name(status));
    write_text("\n");
    for (;;) {
    }
}
