static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  uint8_t *bits = (uint8_t *)(arena + s->scratch);
  const unsigned outputs = s->outputs / s->groups, per_group = s->channels / s->groups;
  const size_t pixel_bytes = (size_t)s->groups * s->group_bytes, width = s->width + 2u * s->padding;
  const uint8_t *weights = (const uint8_t *)s->weights;
  unsigned y, x, output, row, column, byte;
  @PACK@(s, arena, bits);
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (output = 0; output < s->outputs; output++) {
        const uint8_t *weight = weights + (size_t)output * s->size * s->size * s->group_bytes;
        const int32_t *factor = s->constants[0] + (size_t)(output % s->planes) * s->size * s->size;
        int32_t sum = 0;
        for (row = 0; row < s->size; row++)
          for (column = 0; column < s->size; column++, factor++) {
            const size_t at = ((size_t)y * s->stride + row * s->dilation) * width + (size_t)x * s->stride + column * s->dilation;
            const uint8_t *seen = bits + at * pixel_bytes + (output / outputs) * s->group_bytes;
            int differ = 0;
            for (byte = 0; byte < s->group_bytes; byte++) {
              unsigned different = (unsigned)(*seen++ ^ *weight++);
              for (; different; different &= different - 1)
                differ++;
            }
            sum += ((int)per_group - 2 * differ) * *factor;
          }
        @TAIL@(s, arena, &sum, 0, 0, (size_t)y * s->out_width + x, output, 1);
      }
}
