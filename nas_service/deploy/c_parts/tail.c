NN_INLINE void @NAME@_lanes(const struct nn_stage *s, nn_value *arena, const @VALUE@ *values, const uint32_t *patch,
                            const struct nn_patch *windows, size_t pixel, unsigned first, unsigned lanes)
{
  @OUT@
@POINTERS@
  unsigned lane;
  (void)patch;
  (void)windows;
  NN_LANES_APART
  for (lane = 0; lane < lanes; lane++) {
    nn_number v = @FIRST@;
@BODY@
    out[lane] = v;
  }
@AFTER@}

NN_INLINE void @NAME@(const struct nn_stage *s, nn_value *arena, const @VALUE@ *values, const uint32_t *patch,
                      const struct nn_patch *windows, size_t pixel, unsigned first, unsigned lanes)
{
#if defined(NN_AVX512)
  if (lanes == 4 * NN_LANES) {
    @NAME@_lanes(s, arena, values, patch, windows, pixel, first, 4 * NN_LANES);
    return;
  }
  if (lanes == 2 * NN_LANES) {
    @NAME@_lanes(s, arena, values, patch, windows, pixel, first, 2 * NN_LANES);
    return;
  }
#endif
#if defined(NN_VECTORS)
  if (lanes == NN_LANES) {
    @NAME@_lanes(s, arena, values, patch, windows, pixel, first, NN_LANES);
    return;
  }
#endif
  @NAME@_lanes(s, arena, values, patch, windows, pixel, first, lanes);
}
