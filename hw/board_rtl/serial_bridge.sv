// From a serial line to AXI4-Lite: does what packets ask (hw/serial_packets.py) and answers each.
//
// Requests are taken in order, one at a time; a read or a write is one AXI4-Lite access per 32-bit word, with strobes
// for the bytes that are meant. A write with the sequence number of the write before it is answered, not done again,
// so that a host may repeat what got no answer; kind "describe" forgets that number. The answer to a describe is four
// words in turn: Signature, MemoryBytes, ClkHz, Slots. No request waits for the host, so the bridge cannot hang while
// its AXI slaves answer. Throughput: that of the line. Golden: hw/golden_serial.py SerialBridge.

module serial_bridge #(
  parameter  logic [23:0] Step        = 24'h400000,  // of uart_rx and uart_tx
  parameter  logic [31:0] MemoryBytes = 32'd0,
  parameter  logic [31:0] ClkHz       = 32'd0,
  parameter  int unsigned Slots       = 4
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic        rx_i,
  output logic        tx_o,

  output logic [31:0] m_axi_awaddr_o,
  output logic        m_axi_awvalid_o,
  input  logic        m_axi_awready_i,
  output logic [31:0] m_axi_wdata_o,
  output logic [3:0]  m_axi_wstrb_o,
  output logic        m_axi_wvalid_o,
  input  logic        m_axi_wready_i,
  input  logic [1:0]  m_axi_bresp_i,
  input  logic        m_axi_bvalid_i,
  output logic        m_axi_bready_o,
  output logic [31:0] m_axi_araddr_o,
  output logic        m_axi_arvalid_o,
  input  logic        m_axi_arready_i,
  input  logic [31:0] m_axi_rdata_i,
  input  logic [1:0]  m_axi_rresp_i,
  input  logic        m_axi_rvalid_i,
  output logic        m_axi_rready_o,

  output logic        whole_o,   // a request arrived whole (pulse)
  output logic        dropped_o  // a frame was dropped, or a byte with a wrong stop bit (pulse)
);

  localparam logic [31:0] Signature    = 32'h3153474A;
  localparam logic [7:0]  KindDescribe = 8'd1;
  localparam logic [7:0]  KindRead     = 8'd2;
  localparam logic [7:0]  KindWrite    = 8'd3;
  localparam logic [7:0]  Okay         = 8'd0;
  localparam logic [7:0]  Refused      = 8'd1;
  localparam logic [7:0]  BusError     = 8'd2;
  localparam int unsigned SlotWords    = 256;
  localparam int unsigned SlotW        = $clog2(Slots);
  localparam int unsigned WordW        = $clog2(SlotWords);

  typedef enum logic [3:0] {
    StRest, StFetch, StKeep, StIssue, StResponse, StOpen, StAsk, StAnswer, StHand, StSend
  } state_e;

  state_e                 state_q;
  logic                   rx_valid, rx_error, dropped, tx_valid, tx_ready;
  logic [7:0]             rx_data, tx_data;
  logic                   payload_wen;
  logic [SlotW+WordW-1:0] payload_waddr;
  logic [31:0]            payload_wdata, payload_word, payload_word_q;
  logic                   head_valid, head_refused, request_valid, refused, finish;
  logic [7:0]             head_kind, kind, status_q;
  logic [15:0]            head_sequence, head_length, sequence_number, length, last_write_q;
  logic [31:0]            head_address, address, word_q;
  logic                   written_q, has_payload, last_word, send_ready, send_done, word_ready, again;
  logic [SlotW-1:0]       slot_q;
  logic [8:0]             index_q, words;
  logic [1:0]             end_lane;
  logic [29:0]            word_address_q;
  logic [3:0]             first_lanes, last_lanes, strobe_q;

  uart_rx #(
    .Step(Step)
  ) u_rx (
    .clk_i,
    .rst_ni,
    .rx_i,
    .valid_o(rx_valid),
    .data_o (rx_data),
    .error_o(rx_error)
  );

  packet_receiver #(
    .Slots    (Slots),
    .SlotWords(SlotWords)
  ) u_receiver (
    .clk_i,
    .rst_ni,
    .valid_i        (rx_valid),
    .data_i         (rx_data),
    .wen_o          (payload_wen),
    .waddr_o        (payload_waddr),
    .wdata_o        (payload_wdata),
    .request_valid_o(head_valid),
    .request_ready_i(finish),
    .kind_o         (head_kind),
    .sequence_o     (head_sequence),
    .address_o      (head_address),
    .length_o       (head_length),
    .refused_o      (head_refused),
    .release_i      (finish),
    .whole_o,
    .dropped_o      (dropped)
  );

  ram_1r1w #(
    .Width(32),
    .Depth(Slots * SlotWords)
  ) u_payload (
    .clk_i,
    .ren_i  (state_q == StFetch),
    .raddr_i({slot_q, index_q[WordW-1:0]}),
    .rdata_o(payload_word),
    .wen_i  (payload_wen),
    .waddr_i(payload_waddr),
    .wdata_i(payload_wdata)
  );

  // The request at the queue's head, a cycle later: it stays there until the end of its answer.
  always_ff @(posedge clk_i) begin
    request_valid   <= rst_ni && head_valid && !finish;
    refused         <= head_refused;
    kind            <= head_kind;
    sequence_number <= head_sequence;
    address         <= head_address;
    length          <= head_length;
  end

  // Words of the request, and the bytes of the present one that are meant.
  assign words        = 9'((17'(length) + 17'(address[1:0]) + 17'd3) >> 2);
  assign end_lane     = address[1:0] + length[1:0] - 2'd1;
  assign last_word    = index_q + 9'd1 == words;
  assign first_lanes  = index_q == '0 ? 4'hF << address[1:0] : 4'hF;
  assign last_lanes   = last_word ? 4'hF >> (2'd3 - end_lane) : 4'hF;
  assign has_payload  = !refused && kind != KindWrite;
  assign again        = written_q && last_write_q == sequence_number;
  assign dropped_o    = dropped || rx_error;
  assign finish       = state_q == StSend && send_done;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q         <= StRest;
      slot_q          <= '0;
      written_q       <= 1'b0;
      m_axi_awvalid_o <= 1'b0;
      m_axi_wvalid_o  <= 1'b0;
      m_axi_arvalid_o <= 1'b0;
    end else begin
      unique case (state_q)
        StRest: if (request_valid) begin
          state_q <= !refused && kind == KindWrite && !again ? StFetch : StOpen;
          if (!refused && kind == KindDescribe) written_q <= 1'b0;
          if (!refused && kind == KindWrite) written_q <= 1'b1;
        end
        StFetch: state_q <= StKeep;
        StKeep: begin
          state_q         <= StIssue;
          m_axi_awvalid_o <= 1'b1;
          m_axi_wvalid_o  <= 1'b1;
        end
        StIssue: begin
          if (m_axi_awready_i) m_axi_awvalid_o <= 1'b0;
          if (m_axi_wready_i) m_axi_wvalid_o <= 1'b0;
          if ((m_axi_awready_i || !m_axi_awvalid_o) && (m_axi_wready_i || !m_axi_wvalid_o)) state_q <= StResponse;
        end
        StResponse: if (m_axi_bvalid_i) state_q <= last_word ? StOpen : StFetch;
        StOpen: if (send_ready) begin
          state_q <= !has_payload ? StSend : kind == KindRead ? StAsk : StHand;
        end
        StAsk: begin
          m_axi_arvalid_o <= !(m_axi_arvalid_o && m_axi_arready_i);
          if (m_axi_arvalid_o && m_axi_arready_i) state_q <= StAnswer;
        end
        StAnswer: if (m_axi_rvalid_i) state_q <= StHand;
        StHand: if (word_ready) begin
          state_q <= last_word ? StSend : kind == KindRead ? StAsk : StHand;
        end
        default: if (send_done) begin
          state_q <= StRest;
          slot_q  <= slot_q + SlotW'(1);
        end
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StKeep) payload_word_q <= payload_word;
    if (state_q == StRest) begin
      index_q  <= '0;
      status_q <= refused ? Refused : Okay;
      word_q   <= Signature;
      if (request_valid && !refused && kind == KindWrite) last_write_q <= sequence_number;
    end
    if (state_q == StResponse && m_axi_bvalid_i) begin
      index_q <= index_q + 9'd1;
      if (m_axi_bresp_i != 2'b00) status_q <= BusError;
    end
    if (state_q == StAnswer && m_axi_rvalid_i) begin
      word_q <= m_axi_rresp_i == 2'b00 ? m_axi_rdata_i : 32'd0;
      if (m_axi_rresp_i != 2'b00) status_q <= BusError;
    end
    if (state_q == StHand && word_ready) begin
      index_q <= index_q + 9'd1;
      if (kind == KindDescribe) begin
        unique case (index_q[1:0])
          2'd0:    word_q <= MemoryBytes;
          2'd1:    word_q <= ClkHz;
          2'd2:    word_q <= 32'(Slots);
          default: word_q <= Signature;
        endcase
      end
    end
  end

  // Addresses stand from the cycle before their valid on.
  always_ff @(posedge clk_i) begin
    if (state_q == StFetch || (state_q == StAsk && !m_axi_arvalid_o)) begin
      word_address_q <= address[31:2] + 30'(index_q);
      strobe_q       <= first_lanes & last_lanes;
    end
  end

  assign m_axi_awaddr_o = {word_address_q, 2'b00};
  assign m_axi_wdata_o  = payload_word_q;
  assign m_axi_wstrb_o  = strobe_q;
  assign m_axi_bready_o = state_q == StResponse;
  assign m_axi_araddr_o = {word_address_q, 2'b00};
  assign m_axi_rready_o = state_q == StAnswer;

  packet_sender u_sender (
    .clk_i,
    .rst_ni,
    .start_valid_i(state_q == StOpen),
    .start_ready_o(send_ready),
    .kind_i       (kind),
    .sequence_i   (sequence_number),
    .address_i    (address),
    .length_i     (length),
    .payload_i    (has_payload),
    .status_i     (status_q),
    .done_o       (send_done),
    .word_valid_i (state_q == StHand),
    .word_ready_o (word_ready),
    .word_i       (word_q),
    .valid_o      (tx_valid),
    .ready_i      (tx_ready),
    .data_o       (tx_data)
  );

  uart_tx #(
    .Step(Step)
  ) u_tx (
    .clk_i,
    .rst_ni,
    .valid_i(tx_valid),
    .ready_o(tx_ready),
    .data_i (tx_data),
    .tx_o
  );

`ifndef SYNTHESIS
  DoneInSendA : assert property (@(posedge clk_i) disable iff (!rst_ni) send_done |-> state_q == StSend);
`endif

endmodule
