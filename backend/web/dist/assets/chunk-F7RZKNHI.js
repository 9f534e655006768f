import{b as e}from"./chunk-MGSFNEJP.js";import{ea as o,ga as r}from"./chunk-SUVBSMU6.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
