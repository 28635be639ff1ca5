// The runs of a load or store: where each begins in DDR and in the memory.
//
//   for i in 0 .. n - 1, j in 0 .. n_grp - 1:  run words at base + addr + image(i) * img_stride + j * grp_stride,
//   n = clip ? min(max(count - slot, 0), n_img) : n_img
//
// First run 4 cycles after the start (without a list), then one run per cycle, and one cycle more per image.
// A run whose address is no multiple of its word, or whose words pass the end of the memory or of the list, is
// not offered: bad_o stays set until flush_i. Golden: hw/golden_memory.py runs().

module transfer_addresses
  import joulegrad_pkg::*;
#(
  parameter int unsigned G            = 4,
  parameter int unsigned AWords       = 1024,
  parameter int unsigned WWords       = 512,
  parameter int unsigned VectorWords  = 256,
  parameter int unsigned MaskWords    = 64,
  parameter int unsigned TableWords   = 1024,
  parameter int unsigned ProgramWords = 1024,
  parameter int unsigned ListWords    = 512,
  parameter int unsigned BlockWords   = 16
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        flush_i,
  input  logic [31:0] base_i,
  input  logic [15:0] image_count_i,

  input  logic        start_valid_i,
  output logic        start_ready_o,
  input  load_instr_t instr_i,   // a store_instr_t has the same fields
  input  logic [1:0]  tag_i,     // kept with every run of the instruction

  output logic        il_ren_o,
  output logic [15:0] il_addr_o,
  input  logic [15:0] il_rdata_i,

  output logic        run_valid_o,
  input  logic        run_ready_i,
  output logic [31:0] run_addr_o,  // bytes
  output logic [15:0] run_word_o,  // first word in the memory
  output logic [16:0] run_end_o,   // word behind the last one
  output logic [15:0] run_words_o,
  output logic [3:0]  run_sel_o,   // memory
  output logic [1:0]  run_tag_o,
  output logic        run_last_o,  // last run of the instruction

  output logic        empty_o,     // the instruction moves nothing (pulse); no run comes
  output logic        bad_o
);

  typedef enum logic [1:0] {Idle, Count, Prepare, Run} state_e;

  state_e      state_q, state_d;
  logic        clip_q, use_list_q, have_q, misaligned, images_left;
  logic [1:0]  tag_q;
  logic [3:0]  mem_q;
  logic [11:0] n_img_q, slot_q, img_left_q;
  logic [9:0]  n_grp_q, grp_left_q;
  logic [15:0] run_q, word_q;
  logic [16:0] end_q;                  // word behind the run
  logic [31:0] addr_q, img_stride_q, grp_stride_q, img_addr;
  logic [16:0] depth, depth_q;
  logic        narrow, list_error, img_valid, img_ready, run_taken;

  assign start_ready_o = state_q == Idle;
  assign empty_o       = state_q == Prepare && n_img_q == '0 && !flush_i;

  always_comb begin
    unique case (mem_q)
      MemA:                depth = 17'(AWords);
      MemW:                depth = 17'(WWords);
      MemU, MemV, MemO:    depth = 17'(VectorWords);
      MemMI, MemMO:        depth = 17'(MaskWords);
      MemC:                depth = 17'(TableWords);
      MemP:                depth = 17'(ProgramWords);
      MemIL:               depth = 17'(ListWords);
      default:             depth = 17'(BlockWords);
    endcase
  end

  assign narrow      = mem_q inside {MemC, MemP, MemIL, MemBL};
  assign misaligned  = narrow ? addr_q[2:0] != '0 : addr_q[$clog2(G)-1:0] != '0;
  assign run_end_o   = end_q;
  assign bad_o       = list_error || (have_q && (misaligned || end_q > depth_q));
  assign run_valid_o = have_q && !bad_o;
  assign run_addr_o  = addr_q;
  assign run_word_o  = word_q;
  assign run_words_o = run_q;
  assign run_sel_o   = mem_q;
  assign run_tag_o   = tag_q;
  assign images_left = img_left_q != '0;
  assign run_last_o  = !images_left && grp_left_q == 10'd1;
  assign run_taken   = run_valid_o && run_ready_i;
  assign img_ready   = state_q == Run && !have_q;

  image_addresses #(
    .ListWords(ListWords)
  ) u_images (
    .clk_i,
    .rst_ni,
    .flush_i,
    .start_i     (state_q == Prepare && n_img_q != '0),
    .addr_i      (addr_q),
    .stride_i    (img_stride_q),
    .count_i     (n_img_q),
    .slot_i      (slot_q),
    .use_list_i  (use_list_q),
    .il_ren_o,
    .il_addr_o,
    .il_rdata_i,
    .list_error_o(list_error),
    .img_valid_o (img_valid),
    .img_ready_i (img_ready),
    .img_addr_o  (img_addr)
  );

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      Idle:    if (start_valid_i) state_d = Count;
      Count:   state_d = Prepare;
      Prepare: state_d = n_img_q == '0 ? Idle : Run;
      Run:     if (run_taken && run_last_o) state_d = Idle;
      default: state_d = Idle;
    endcase
    if (flush_i) state_d = Idle;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      have_q  <= 1'b0;
    end else begin
      state_q <= state_d;
      if (flush_i) have_q <= 1'b0;
      else if (img_valid && img_ready) have_q <= 1'b1;
      else if (run_taken && grp_left_q == 10'd1) have_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      Idle: begin
        if (start_valid_i) begin
          clip_q       <= instr_i.clip;
          use_list_q   <= instr_i.use_list;
          tag_q        <= tag_i;
          mem_q        <= instr_i.mem;
          n_img_q      <= instr_i.n_img;
          slot_q       <= instr_i.slot;
          n_grp_q      <= instr_i.n_grp;
          run_q        <= instr_i.run;
          word_q       <= instr_i.base;
          addr_q       <= instr_i.addr + base_i;
          img_stride_q <= instr_i.img_stride;
          grp_stride_q <= instr_i.grp_stride;
        end
      end
      Count: begin
        n_img_q <= images_of(clip_q, n_img_q, slot_q, image_count_i);
        end_q   <= 17'(word_q) + 17'(run_q);
        depth_q <= depth;
      end
      Prepare: img_left_q <= n_img_q;
      default: begin
        if (img_valid && img_ready) begin
          addr_q     <= img_addr;
          grp_left_q <= n_grp_q;
          img_left_q <= img_left_q - 12'd1;
        end else if (run_taken) begin
          addr_q     <= addr_q + grp_stride_q;
          grp_left_q <= grp_left_q - 10'd1;
          word_q     <= end_q[15:0];
          end_q      <= 17'(end_q[15:0]) + 17'(run_q);
        end
      end
    endcase
  end

  logic unused_instr;
  assign unused_instr = ^{instr_i.opcode, instr_i.wait_, instr_i.signal_, instr_i.spare};

`ifndef SYNTHESIS
  RunIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
    run_valid_o && !run_ready_i |=> run_valid_o && $stable(run_addr_o) && $stable(run_word_o));
`endif

endmodule
