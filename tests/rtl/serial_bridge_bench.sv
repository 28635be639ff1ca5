// serial_bridge with its AXI ports named as cocotbext-axi looks for them.

module serial_bridge_bench #(
  parameter logic [23:0] Step = 24'h400000,
  parameter logic [31:0] MemoryBytes = 32'd0,
  parameter logic [31:0] ClkHz = 32'd0,
  parameter int unsigned Slots = 4
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                rx_i,
  output logic                tx_o,
  output logic [31:0]         m_axi_awaddr,
  output logic                m_axi_awvalid,
  input  logic                m_axi_awready,
  output logic [31:0]         m_axi_wdata,
  output logic [3:0]          m_axi_wstrb,
  output logic                m_axi_wvalid,
  input  logic                m_axi_wready,
  input  logic [1:0]          m_axi_bresp,
  input  logic                m_axi_bvalid,
  output logic                m_axi_bready,
  output logic [31:0]         m_axi_araddr,
  output logic                m_axi_arvalid,
  input  logic                m_axi_arready,
  input  logic [31:0]         m_axi_rdata,
  input  logic [1:0]          m_axi_rresp,
  input  logic                m_axi_rvalid,
  output logic                m_axi_rready,
  output logic                whole_o,
  output logic                dropped_o
);

  serial_bridge #(
    .Step(Step),
    .MemoryBytes(MemoryBytes),
    .ClkHz(ClkHz),
    .Slots(Slots)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .rx_i,
    .tx_o,
    .m_axi_awaddr_o  (m_axi_awaddr),
    .m_axi_awvalid_o (m_axi_awvalid),
    .m_axi_awready_i (m_axi_awready),
    .m_axi_wdata_o   (m_axi_wdata),
    .m_axi_wstrb_o   (m_axi_wstrb),
    .m_axi_wvalid_o  (m_axi_wvalid),
    .m_axi_wready_i  (m_axi_wready),
    .m_axi_bresp_i   (m_axi_bresp),
    .m_axi_bvalid_i  (m_axi_bvalid),
    .m_axi_bready_o  (m_axi_bready),
    .m_axi_araddr_o  (m_axi_araddr),
    .m_axi_arvalid_o (m_axi_arvalid),
    .m_axi_arready_i (m_axi_arready),
    .m_axi_rdata_i   (m_axi_rdata),
    .m_axi_rresp_i   (m_axi_rresp),
    .m_axi_rvalid_i  (m_axi_rvalid),
    .m_axi_rready_o  (m_axi_rready),
    .whole_o,
    .dropped_o
  );

endmodule
